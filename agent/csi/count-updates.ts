import type { CSIDriver } from "#api";
import { type Clock, type Log, messageOf, sleep } from "#base";
import type { Drivers } from "./drivers.ts";

export interface CountUpdatesOptions {
  drivers: Pick<Drivers, "names" | "update">;
  /** The driver's object; undefined when it does not exist. */
  csiDriver(name: string): Promise<CSIDriver | undefined>;
  clock: Clock;
  log: Log;
}

/** How often it is checked what is due; the API allows no shorter period. */
const stepMilliseconds = 10_000;
/** How often the object of a driver without a period is read: upstream's kubelet watches all of them. */
const lookMilliseconds = 600_000;

/**
 * Reads drivers' counts of volumes again as often as their objects request it (nodeAllocatableUpdatePeriodSeconds), and
 * writes them to the CSINode. A driver that hangs delays only itself.
 */
export class CountUpdates {
  readonly #options: CountUpdatesOptions;
  readonly #due = new Map<string, number>();
  readonly #busy = new Set<string>();
  readonly #stopping = new AbortController();

  constructor(options: CountUpdatesOptions) {
    this.#options = options;
  }

  start(): { stop(): Promise<void> } {
    const running = this.#run();
    return {
      stop: async () => {
        this.#stopping.abort();
        await running;
      },
    };
  }

  async #run(): Promise<void> {
    const { clock, drivers } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const names = drivers.names();
      for (const name of this.#due.keys()) if (!names.includes(name)) this.#due.delete(name);
      for (const name of names) {
        if (this.#busy.has(name) || (this.#due.get(name) ?? 0) > clock.now()) continue;
        this.#busy.add(name);
        void this.#update(name).finally(() => this.#busy.delete(name));
      }
      await sleep(clock, stepMilliseconds, signal);
    }
  }

  async #update(name: string): Promise<void> {
    const { csiDriver, drivers, clock, log } = this.#options;
    let next = lookMilliseconds;
    try {
      const object = await csiDriver(name);
      const seconds = Number(object?.spec.nodeAllocatableUpdatePeriodSeconds ?? 0);
      // A driver has just reported its count when it is first seen.
      if (seconds > 0) next = seconds * 1000;
      if (seconds > 0 && this.#due.has(name)) await drivers.update(name);
    } catch (error) {
      log.warn("the count of a CSI driver's volumes could not be updated", { driver: name, error: messageOf(error) });
    }
    this.#due.set(name, clock.now() + next);
  }
}
