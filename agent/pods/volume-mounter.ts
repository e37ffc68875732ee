import { type Mounted, VolumeError } from "#agent/volumes";
import type { Pod } from "#api";
import type { PodsContext } from "./context.ts";
import { withoutImageVolumes } from "./image-volumes.ts";

const refreshMilliseconds = 60_000;
/** The back-off between failed operations on a volume (upstream's exponentialbackoff). */
const firstRetryMilliseconds = 500;
const lastRetryMilliseconds = 122_000;

/** Mounts one pod's volumes, then refreshes them while the pod runs. */
export class VolumeMounter {
  readonly #context: PodsContext;
  #volumes: Record<string, Mounted> | undefined;
  #refreshedAt = 0;
  #delay = firstRetryMilliseconds;
  #retryAt = 0;

  constructor(context: PodsContext) {
    this.#context = context;
  }

  /** Volumes by name, once all of them are mounted. */
  get volumes(): Record<string, Mounted> | undefined {
    return this.#volumes;
  }

  /** When `follow` is to be called next, in milliseconds since the epoch. */
  get due(): number {
    return this.#volumes ? this.#refreshedAt + refreshMilliseconds : this.#retryAt;
  }

  /** Mounts the volumes, or refreshes them when they are due. False while one could not be mounted. */
  async follow(whole: Pod): Promise<boolean> {
    const pod = withoutImageVolumes(whole);
    const { clock, volumes, record } = this.#context;
    // The pod is also synchronized for other reasons; events are recorded at the pace of upstream's operations.
    if (!this.#volumes && clock.now() < this.#retryAt) return false;
    try {
      if (!this.#volumes) {
        this.#volumes = await volumes.mount(pod);
        this.#refreshedAt = clock.now();
      } else if (clock.now() - this.#refreshedAt >= refreshMilliseconds) {
        this.#refreshedAt = clock.now();
        await volumes.refresh(pod);
      }
      return true;
    } catch (error) {
      if (!(error instanceof VolumeError)) throw error;
      record(pod, "Warning", "FailedMount", error.message);
      // Mounted volumes keep their present content.
      if (this.#volumes) return true;
      this.#retryAt = clock.now() + this.#delay;
      this.#delay = Math.min(this.#delay * 2, lastRetryMilliseconds);
      return false;
    }
  }
}
