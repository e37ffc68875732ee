import { type Mounted, VolumeError } from "#agent/volumes";
import type { Pod } from "#api";
import { within } from "#base";
import type { PodsContext } from "./context.ts";
import { withoutImageVolumes } from "./image-volumes.ts";

const refreshMilliseconds = 60_000;
/** The back-off between failed operations on a volume (upstream's exponentialbackoff). */
const firstRetryMilliseconds = 500;
const lastRetryMilliseconds = 122_000;
/** How long a step of the pod waits for its volumes. What takes longer goes on beside the pod's other work. */
const waitMilliseconds = 1000;

export interface VolumeMounterOptions {
  context: PodsContext;
  /** Called when an operation ends for which no step has waited. */
  wake(): void;
}

/**
 * Mounts one pod's volumes, refreshes them while the pod runs, and unmounts them. A volume that hangs delays neither
 * probes and restarts of the pod's containers nor the pod's end.
 */
export class VolumeMounter {
  readonly #context: PodsContext;
  readonly #wake: () => void;
  readonly #stopping = new AbortController();
  #volumes: Record<string, Mounted> | undefined;
  /** The one that runs. */
  #operation: Promise<void> | undefined;
  /** What has failed without being an error of a volume. */
  #fault: { error: unknown } | undefined;
  #delay = firstRetryMilliseconds;
  #dueAt = 0;
  #isReleased = false;

  constructor({ context, wake }: VolumeMounterOptions) {
    this.#context = context;
    this.#wake = wake;
  }

  /** Volumes by name, once all of them are mounted. */
  get volumes(): Record<string, Mounted> | undefined {
    return this.#volumes;
  }

  /** When `follow` is to be called next, in milliseconds since the epoch; undefined: it is called when that is known. */
  get due(): number | undefined {
    return this.#operation ? undefined : this.#dueAt;
  }

  /** Mounts the volumes, or refreshes them when they are due. False while one is not mounted. */
  async follow(whole: Pod): Promise<boolean> {
    const pod = withoutImageVolumes(whole);
    const { clock } = this.#context;
    // The pod is also synchronized for other reasons; events are recorded at the pace of upstream's operations.
    if (!this.#operation && clock.now() >= this.#dueAt) {
      const operation = this.#run(pod);
      this.#operation = operation;
      if (!(await within(clock, waitMilliseconds, operation))) void operation.then(this.#wake);
    }
    const fault = this.#fault;
    this.#fault = undefined;
    if (fault) throw fault.error;
    return this.#volumes !== undefined;
  }

  /** Unmounts and removes the volumes of a pod that has ended, once. Rejects when one cannot be unmounted yet. */
  async release(uid: string): Promise<void> {
    if (this.#isReleased) return;
    await this.#end();
    await this.#context.volumes.release(uid);
    this.#isReleased = true;
  }

  /** As `release`, and removes the pod's other files. */
  async unmount(uid: string): Promise<void> {
    await this.#end();
    await this.#context.volumes.unmount(uid);
  }

  async #end(): Promise<void> {
    this.stop();
    await this.#operation;
  }

  /** Cancels the operation that runs. */
  stop(): void {
    this.#stopping.abort();
  }

  /** Never rejects. */
  async #run(pod: Pod): Promise<void> {
    const { clock, record } = this.#context;
    const { signal } = this.#stopping;
    try {
      await this.#act(pod, signal);
      this.#dueAt = clock.now() + refreshMilliseconds;
    } catch (error) {
      if (!signal.aborted) {
        if (error instanceof VolumeError) record(pod, "Warning", "FailedMount", error.message);
        else this.#fault = { error };
      }
      // Mounted volumes keep their present content.
      this.#dueAt = clock.now() + (this.#volumes ? refreshMilliseconds : this.#delay);
      if (!this.#volumes) this.#delay = Math.min(this.#delay * 2, lastRetryMilliseconds);
    }
    this.#operation = undefined;
  }

  async #act(pod: Pod, signal: AbortSignal): Promise<void> {
    const { volumes } = this.#context;
    if (this.#volumes) await volumes.refresh(pod, signal);
    else this.#volumes = await volumes.mount(pod, signal);
  }
}
