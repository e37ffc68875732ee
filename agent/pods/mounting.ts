import { type Mounted, VolumeError } from "#agent/volumes";
import type { Pod } from "#api";
import type { PodsContext } from "./context.ts";

const refreshMilliseconds = 60_000;
/** Upstream's exponentialbackoff between operations on a volume that fail. */
const firstRetryMilliseconds = 500;
const lastRetryMilliseconds = 122_000;

/** One pod's volumes: mounted once, then refreshed while the pod runs. */
export class Mounting {
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

  /** When the next look makes sense, in milliseconds since the epoch. */
  get due(): number {
    return this.#volumes ? this.#refreshedAt + refreshMilliseconds : this.#retryAt;
  }

  /** Mounts volumes, or refreshes what they show when that is old. False where one could not be mounted. */
  async follow(pod: Pod): Promise<boolean> {
    const { clock, volumes, record } = this.#context;
    // Other things wake the pod too: events come at the pace of upstream's operations.
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
      // What is mounted already goes on with what it shows.
      if (this.#volumes) return true;
      this.#retryAt = clock.now() + this.#delay;
      this.#delay = Math.min(this.#delay * 2, lastRetryMilliseconds);
      return false;
    }
  }
}
