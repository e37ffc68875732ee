import type { Clock } from "#base";
import type { View } from "./plan.ts";

/** After this time the runtime is asked even if it has reported no change. */
const keptMilliseconds = 300_000;

/**
 * What the runtime had of a pod when nothing was to be done. It is good enough for steps that only time has made due,
 * such as the refresh of volumes: whatever changes in the runtime wakes the pod's worker, which drops it.
 */
export class KeptView {
  readonly #clock: Clock;
  #kept: { view: View; until: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined: the runtime has to be asked. */
  get view(): View | undefined {
    return this.#kept && this.#clock.now() < this.#kept.until ? this.#kept.view : undefined;
  }

  /** Keeps a view that the runtime has just given, or one that is kept for as long as it already was to be. */
  keep(view: View): void {
    if (this.#kept?.view !== view) this.#kept = { view, until: this.#clock.now() + keptMilliseconds };
  }

  drop(): void {
    this.#kept = undefined;
  }
}
