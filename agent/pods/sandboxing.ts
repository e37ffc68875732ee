import { isRuntimeError } from "#agent/runtime";
import type { Pod } from "#api";
import { messageOf } from "#base";
import { retryDelay } from "#kubelet";
import type { PodsContext } from "./context.ts";
import type { View } from "./plan.ts";
import { sandboxSpecOf } from "./sandbox-spec.ts";

/** Makes one pod's sandboxes, at the pace of upstream's pod workers where that fails. */
export class Sandboxing {
  readonly #context: PodsContext;
  #due = 0;

  constructor(context: PodsContext) {
    this.#context = context;
  }

  /** When a sandbox may be tried again, in milliseconds since the epoch. */
  get due(): number {
    return this.#due;
  }

  /** A ready sandbox in place of what there is. False where it could not be made, and until the next try is due. */
  async make(pod: Pod, view: View): Promise<boolean> {
    const { runtime, record, node, clock, random } = this.#context;
    // What a failed try changes in the runtime wakes the pod: only time makes the next try worth while.
    if (clock.now() < this.#due) return false;
    const attempt = view.current ? view.current.attempt + 1 : 0;
    if (view.current) record(pod, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
    for (const old of view.sandboxes) {
      await runtime.pods.stopSandbox(old.id);
      if (old !== view.current) await runtime.pods.removeSandbox(old.id);
    }
    try {
      await runtime.pods.runSandbox(await sandboxSpecOf(pod, attempt, node));
      return true;
    } catch (error) {
      if (isRuntimeError(error, "unavailable")) throw error;
      record(pod, "Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${messageOf(error)}`);
      this.#due = clock.now() + retryDelay(random);
      return false;
    }
  }
}
