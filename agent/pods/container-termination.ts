import type { Container as RuntimeContainer } from "#agent/runtime";
import { type Container, isSidecar, type Pod } from "#api";
import { messageOf, sleep } from "#base";
import { fieldPathOf, type PodsContext } from "./context.ts";
import { runHook } from "./hooks.ts";
import type { View } from "./plan.ts";

export interface TerminationOptions {
  context: PodsContext;
  pod: Pod;
  graceSeconds: number;
  /** Ids of containers; absent: all of them. */
  only?: Set<string> | undefined;
  /** Records no event: the caller has recorded one. */
  quiet?: boolean | undefined;
}

/** A container that is to end, with its pod's address. */
interface Target {
  container: RuntimeContainer;
  ip: string;
}

type Handler = NonNullable<NonNullable<Container["lifecycle"]>["preStop"]>;

/** With a grace period above 0, a container has at least this long to react to its stop signal. */
const leastGraceSeconds = 2;

/**
 * Terminates containers: preStop hooks, then the stop signal, then a kill, all within the grace period. Main
 * containers end together, sidecars after them in the reverse of their order.
 */
export class ContainerTermination {
  /** Resolves when none of the containers runs any more; rejects when one could not be ended. */
  readonly done: Promise<void>;
  readonly #options: TerminationOptions;
  readonly #specs: Map<string, Container>;
  /** Aborts the hooks when the grace period is shortened. */
  readonly #hurry = new AbortController();
  /** Ids of containers that have their stop signal and still run. */
  readonly #signalled = new Set<string>();
  /** Milliseconds since the epoch; 0 kills at once. */
  #deadline: number;
  #outcome: "ended" | Error | undefined;

  constructor(options: TerminationOptions, view: View) {
    this.#options = options;
    const { initContainers = [], containers = [], ephemeralContainers = [] } = options.pod.spec ?? {};
    const specs = [...initContainers, ...containers, ...ephemeralContainers] as Container[];
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]));
    this.#deadline = options.context.clock.now() + options.graceSeconds * 1000;
    const sidecars = (initContainers as Container[]).filter(isSidecar).map(({ name }) => name);
    this.done = this.#endAll(targetsIn(view, options.only), sidecars);
    this.done.then(
      () => {
        this.#outcome = "ended";
      },
      (error) => {
        this.#outcome = error instanceof Error ? error : new Error(String(error));
      },
    );
  }

  /** Undefined until `done` has settled. */
  get outcome(): "ended" | Error | undefined {
    return this.#outcome;
  }

  /** Shortens the rest of the grace period to this, if it is longer. */
  shorten(graceSeconds: number): void {
    const { runtime, clock, log } = this.#options.context;
    const next = clock.now() + graceSeconds * 1000;
    if (next >= this.#deadline - 1000) return;
    this.#deadline = graceSeconds === 0 ? 0 : next;
    this.#hurry.abort();
    for (const id of this.#signalled) {
      const grace = graceSeconds === 0 ? 0 : this.#secondsLeft();
      runtime.pods.stopContainer(id, grace).catch((error) => {
        log.warn("a container could not be stopped sooner", { container: id, error: messageOf(error) });
      });
    }
  }

  async #endAll(targets: Target[], sidecars: string[]): Promise<void> {
    const main = targets.filter(({ container }) => !sidecars.includes(container.name));
    await Promise.all(main.map((target) => this.#end(target)));
    for (const name of sidecars.toReversed()) {
      const named = targets.filter(({ container }) => container.name === name);
      await Promise.all(named.map((target) => this.#end(target)));
    }
  }

  async #end(target: Target): Promise<void> {
    const { context, pod, quiet } = this.#options;
    const { id, name, state } = target.container;
    const spec = this.#specs.get(name);
    if (!quiet) context.record(pod, "Normal", "Killing", `Stopping container ${name}`, fieldPathOf(pod, name));
    const preStop = spec?.lifecycle?.preStop;
    if (spec && preStop && state === "running" && this.#deadline > context.clock.now()) {
      await this.#runPreStop(target, spec, preStop);
    }
    this.#signalled.add(id);
    await context.runtime.pods.stopContainer(id, this.#secondsLeft());
    this.#signalled.delete(id);
  }

  /** Resolves when the hook has ended, at the deadline, or when the grace period is shortened. */
  async #runPreStop({ container, ip }: Target, spec: Container, handler: Handler): Promise<void> {
    const { context, pod } = this.#options;
    const { runtime, node, clock } = context;
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#hurry.signal]);
    const hook = runHook(handler, {
      container: spec,
      containerId: container.id,
      ip: pod.spec?.hostNetwork ? (node.ips[0] ?? "") : ip,
      streams: runtime.streams,
      clock,
      reachable: node.reachable,
      fellBack: (message) => context.record(pod, "Warning", "LifecycleHTTPFallback", message),
      signal,
    }).catch((error) => {
      if (signal.aborted) return;
      const fields = { pod: pod.metadata.name, container: spec.name, error: messageOf(error) };
      context.log.info("a preStop hook failed", fields);
      context.record(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", fieldPathOf(pod, spec.name));
    });
    await Promise.race([hook, sleep(clock, Math.max(0, this.#deadline - clock.now()), signal)]);
    over.abort();
  }

  #secondsLeft(): number {
    if (this.#options.graceSeconds === 0 || this.#deadline <= 0) return 0;
    const left = (this.#deadline - this.#options.context.clock.now()) / 1000;
    return Math.max(leastGraceSeconds, Math.ceil(left));
  }
}

const targetsIn = (view: View, only: Set<string> | undefined): Target[] =>
  view.sandboxes
    .flatMap((sandbox) => sandbox.containers.map((container) => ({ container, ip: sandbox.ips[0] ?? "" })))
    .filter(({ container }) => container.state === "running" || container.state === "created")
    .filter(({ container }) => only?.has(container.id) ?? true);
