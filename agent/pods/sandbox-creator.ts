import { isRuntimeError, type Sandbox } from "#agent/runtime";
import type { Pod } from "#api";
import { messageOf } from "#base";
import { retryDelay } from "#kubelet";
import type { PodsContext } from "./context.ts";
import type { View } from "./plan.ts";
import { dnsOf, sandboxSpecOf } from "./sandbox-spec.ts";

/** Creates one pod's sandboxes, and retries at the pace of upstream's pod workers. */
export class SandboxCreator {
  readonly #context: PodsContext;
  #due = 0;

  constructor(context: PodsContext) {
    this.#context = context;
  }

  /** When the next try is due, in milliseconds since the epoch. */
  get due(): number {
    return this.#due;
  }

  /**
   * Replaces the pod's sandboxes by a ready one. Undefined when it could not be created, and until the next try is due.
   */
  async create(pod: Pod, view: View): Promise<Sandbox | undefined> {
    const { runtime, record, node, clock, random } = this.#context;
    // The changes of a failed try in the runtime wake the pod; the next try is due by time only.
    if (clock.now() < this.#due) return undefined;
    const attempt = view.current ? view.current.attempt + 1 : 0;
    if (view.current) record(pod, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
    for (const old of view.sandboxes) {
      await runtime.pods.stopSandbox(old.id);
      if (old !== view.current) await runtime.pods.removeSandbox(old.id);
    }
    try {
      await this.#context.cgroups?.ensure(pod);
    } catch (error) {
      // Upstream's event when EnsureExists fails.
      record(pod, "Warning", "FailedCreatePodContainer", `unable to ensure pod container exists: ${messageOf(error)}`);
      this.#due = clock.now() + retryDelay(random);
      return undefined;
    }
    try {
      const dns = await dnsOf(pod, node);
      // Simulated pods do not resolve names.
      for (const { reason, message } of node.reachable ? dns.warnings : []) record(pod, "Warning", reason, message);
      return await runtime.pods.runSandbox(sandboxSpecOf(pod, attempt, node, dns));
    } catch (error) {
      if (isRuntimeError(error, "unavailable")) throw error;
      record(pod, "Warning", "FailedCreatePodSandBox", `Failed to create pod sandbox: ${messageOf(error)}`);
      this.#due = clock.now() + retryDelay(random);
      return undefined;
    }
  }
}
