import type { Pod } from "#api";
import { ContainerTermination } from "./container-termination.ts";
import type { PodsContext } from "./context.ts";
import type { View } from "./plan.ts";
import type { Prober } from "./prober.ts";

/** The end of one pod's containers, whose grace period may be shortened meanwhile. */
export class PodTermination {
  readonly #context: PodsContext;
  readonly #prober: Prober;
  readonly #wake: () => void;
  #termination: ContainerTermination | undefined;
  #grace = Number.POSITIVE_INFINITY;

  constructor(context: PodsContext, prober: Prober, wake: () => void) {
    this.#context = context;
    this.#prober = prober;
    this.#wake = wake;
  }

  /**
   * Ends the containers within the grace period; true once they have ended. Until then the worker is woken at the end.
   * Throws when a container could not be ended; the next call tries again.
   */
  hasEnded(pod: Pod, view: View, graceSeconds: number): boolean {
    this.#prober.stopRestarting();
    if (!this.#termination) {
      this.#termination = new ContainerTermination({ context: this.#context, pod, graceSeconds }, view);
      this.#termination.done.catch(() => {}).finally(() => this.#wake());
    } else if (graceSeconds < this.#grace) this.#termination.shorten(graceSeconds);
    this.#grace = Math.min(this.#grace, graceSeconds);
    const { outcome } = this.#termination;
    if (outcome instanceof Error) {
      this.#termination = undefined;
      throw outcome;
    }
    return outcome === "ended";
  }
}
