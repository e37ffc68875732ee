import type { Container as Running } from "#agent/runtime";
import { type Container, isSidecar, type Pod } from "#api";
import { messageOf, sleep } from "#base";
import { fieldPathOf, type PodsContext } from "./context.ts";
import { runHook } from "./hooks.ts";
import type { View } from "./plan.ts";

export interface EndOptions {
  context: PodsContext;
  pod: Pod;
  graceSeconds: number;
  /** Ids of containers; absent: all of them. */
  only?: Set<string>;
  /** The event has been told already. */
  quiet?: boolean;
}

/** An end under way. */
export interface Ending {
  /** Resolves when none of the containers runs any more; rejects when one could not be ended. */
  done: Promise<void>;
  /** Undefined until `done` has settled. */
  readonly outcome: "ended" | Error | undefined;
  /** Leaves this much time from now, where that is less than what was left. */
  shorten(graceSeconds: number): void;
}

/** However little grace there is, a container gets this long to react, unless it gets none at all. */
const leastGraceSeconds = 2;

/**
 * Ends containers: preStop hooks, then the stop signal, then a kill, all within the grace. Main containers end
 * together, sidecars after them in the reverse of their order.
 */
export function endContainers(options: EndOptions, view: View): Ending {
  const { context, pod, only } = options;
  const { clock } = context;
  const specs = new Map<string, Container>();
  const { initContainers = [], containers = [], ephemeralContainers = [] } = pod.spec ?? {};
  for (const spec of [...initContainers, ...containers, ...ephemeralContainers])
    specs.set(spec.name, spec as Container);
  const running = view.sandboxes
    .flatMap((sandbox) => sandbox.containers.map((container) => ({ container, ip: sandbox.ips[0] ?? "" })))
    .filter(({ container }) => container.state === "running" || container.state === "created")
    .filter(({ container }) => only?.has(container.id) ?? true);
  const sidecars = initContainers.filter((spec) => isSidecar(spec as Container)).map(({ name }) => name);
  const hurry = new AbortController();
  let deadline = clock.now() + options.graceSeconds * 1000;
  const stops = new Set<string>();

  const end = async ({ container, ip }: { container: Running; ip: string }): Promise<void> => {
    const spec = specs.get(container.name);
    const path = fieldPathOf(pod, container.name);
    if (!options.quiet) context.record(pod, "Normal", "Killing", `Stopping container ${container.name}`, path);
    const preStop = spec?.lifecycle?.preStop;
    if (spec && preStop && container.state === "running" && deadline > clock.now()) {
      await hook(spec, container, preStop, pod.spec?.hostNetwork ? (context.node.ips[0] ?? "") : ip);
    }
    stops.add(container.id);
    await context.runtime.pods.stopContainer(container.id, left());
    stops.delete(container.id);
  };
  const left = (): number => {
    if (options.graceSeconds === 0 || deadline <= 0) return 0;
    return Math.max(leastGraceSeconds, Math.ceil((deadline - clock.now()) / 1000));
  };
  const hook = async (
    spec: Container,
    container: Running,
    handler: NonNullable<NonNullable<Container["lifecycle"]>["preStop"]>,
    ip: string,
  ) => {
    const { runtime, node } = context;
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, hurry.signal]);
    const target = {
      container: spec,
      containerId: container.id,
      ip,
      streams: runtime.streams,
      clock,
      reachable: node.reachable,
      signal,
    };
    const running = runHook(handler, target).catch((error) => {
      if (signal.aborted) return;
      context.log.info("a preStop hook failed", {
        pod: pod.metadata.name,
        container: spec.name,
        error: messageOf(error),
      });
      context.record(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", fieldPathOf(pod, spec.name));
    });
    await Promise.race([running, sleep(clock, Math.max(0, deadline - clock.now()), signal)]);
    over.abort();
  };
  const endAll = async (): Promise<void> => {
    const isLate = (name: string): boolean => sidecars.includes(name);
    await Promise.all(running.filter(({ container }) => !isLate(container.name)).map(end));
    for (const name of sidecars.reverse()) {
      await Promise.all(running.filter(({ container }) => container.name === name).map(end));
    }
  };

  let outcome: Ending["outcome"];
  const done = endAll();
  done.then(
    () => {
      outcome = "ended";
    },
    (error) => {
      outcome = error instanceof Error ? error : new Error(String(error));
    },
  );
  return {
    done,
    get outcome() {
      return outcome;
    },
    shorten: (graceSeconds) => {
      const next = clock.now() + graceSeconds * 1000;
      if (next >= deadline - 1000) return;
      deadline = graceSeconds === 0 ? 0 : next;
      hurry.abort();
      for (const id of stops) {
        const grace = graceSeconds === 0 ? 0 : left();
        context.runtime.pods.stopContainer(id, grace).catch((error) => {
          context.log.warn("a container could not be stopped sooner", { container: id, error: messageOf(error) });
        });
      }
    },
  };
}
