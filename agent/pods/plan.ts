import type { Container as RuntimeContainer, Sandbox } from "#agent/runtime";
import { type Container, isSidecar, type Pod } from "#api";
import { restarts } from "#kubelet";

/** The sandboxes and containers of a pod in the runtime. */
export interface View {
  sandboxes: Sandbox[];
  /** The pod's present sandbox: the last one. */
  current: Sandbox | undefined;
  /** All containers of a name over all sandboxes, the last attempt last. */
  of(name: string): RuntimeContainer[];
  /** The last container of a name in the current sandbox. */
  now(name: string): RuntimeContainer | undefined;
}

export function viewOf(sandboxes: Sandbox[]): View {
  const ordered = [...sandboxes].sort((a, b) => a.attempt - b.attempt || a.createdAt - b.createdAt);
  const byName = new Map<string, RuntimeContainer[]>();
  for (const container of ordered.flatMap((sandbox) => sandbox.containers)) {
    const others = byName.get(container.name);
    if (others) others.push(container);
    else byName.set(container.name, [container]);
  }
  for (const all of byName.values()) all.sort((a, b) => a.attempt - b.attempt || a.createdAt - b.createdAt);
  const current = ordered.at(-1);
  const of = (name: string): RuntimeContainer[] => byName.get(name) ?? [];
  return {
    sandboxes: ordered,
    current,
    of,
    now: (name) => of(name).findLast((container) => container.sandboxId === current?.id),
  };
}

/** The running containers of a pod but the ephemeral ones, each with its definition. */
export function liveIn(view: View, { spec }: Pod): { spec: Container; running: RuntimeContainer }[] {
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].flatMap((container) => {
    const running = view.now(container.name);
    return running?.state === "running" ? [{ spec: container as Container, running }] : [];
  });
}

/** What the plan needs to know of running containers. */
export interface ContainerHealth {
  /** Whether the startup probe has succeeded, or there is none. */
  started(container: RuntimeContainer, spec: Container): boolean;
  /** Why a running container has to be killed; undefined when it has not. */
  killReason(container: RuntimeContainer, spec: Container): { message: string; graceSeconds?: number } | undefined;
}

export interface Plan {
  /** A sandbox has to be created first. */
  sandbox: boolean;
  kill: { container: RuntimeContainer; message: string; graceSeconds?: number }[];
  start: Container[];
  /** No container runs or will be started: the pod has ended. */
  finished: boolean;
}

/** Whether the container never ran. One that was created and not started is left from a crash. */
const isMissing = (container: RuntimeContainer | undefined): container is undefined =>
  container === undefined || container.state === "created";

const hasEnded = (container: RuntimeContainer | undefined): boolean =>
  container?.state === "exited" || container?.state === "unknown";

/** The next steps for a pod that is to run. A pure function. */
export function planFor(pod: Pod, view: View, health: ContainerHealth): Plan {
  const plan: Plan = { sandbox: false, kill: [], start: [], finished: false };
  const inits = (pod.spec?.initContainers ?? []) as Container[];
  const mains = pod.spec?.containers ?? [];
  if (view.current?.state !== "ready") {
    plan.finished = view.current !== undefined && !anyRuns(pod, view);
    plan.sandbox = !plan.finished;
    return plan;
  }
  // Once a main container has been started, initialization has ended, even if its containers are not listed any more.
  const initialized = mains.some(({ name }) => view.now(name));
  if (!planInits({ pod, inits, view, health, plan, initialized })) return plan;
  let alive = false;
  for (const container of mains) {
    const current = view.now(container.name);
    if (isMissing(current)) {
      plan.start.push(container);
      alive = true;
    } else if (hasEnded(current)) {
      if (!restarts(pod, container, { exitCode: current.exitCode, isInit: false })) continue;
      plan.start.push(container);
      alive = true;
    } else {
      alive = true;
      planKill({ plan, running: current, container, health });
    }
  }
  if (alive) return plan;
  plan.finished = true;
  plan.start = [];
  plan.kill = [];
  return plan;
}

interface InitPlan {
  pod: Pod;
  inits: Container[];
  view: View;
  health: ContainerHealth;
  plan: Plan;
  /** A main container has been started. */
  initialized: boolean;
}

/** Plans the init containers; true when the main containers can be planned. */
function planInits({ pod, inits, view, health, plan, initialized }: InitPlan): boolean {
  for (const container of inits) {
    const current = view.now(container.name);
    if (initialized && !isSidecar(container)) continue;
    if (isMissing(current)) {
      plan.start.push(container);
      if (initialized) continue;
      return false;
    }
    if (hasEnded(current)) {
      if (!isSidecar(container) && current.exitCode === 0) continue;
      if (restarts(pod, container, { exitCode: current.exitCode, isInit: true })) plan.start.push(container);
      else plan.finished = true;
      if (initialized) continue;
      return false;
    }
    if (planKill({ plan, running: current, container, health })) return initialized;
    if (isSidecar(container) && health.started(current, container)) continue;
    if (initialized) continue;
    return false;
  }
  return true;
}

interface KillPlan {
  plan: Plan;
  running: RuntimeContainer;
  container: Container;
  health: ContainerHealth;
}

/** Plans the kill of a running container if it has to be killed; whether it has. */
function planKill({ plan, running, container, health }: KillPlan): boolean {
  const reason = health.killReason(running, container);
  if (reason) plan.kill.push({ container: running, ...reason });
  return reason !== undefined;
}

/** Whether a new sandbox would have a container to run: one that has ended for good is not started again. */
function anyRuns(pod: Pod, view: View): boolean {
  for (const container of (pod.spec?.initContainers ?? []) as Container[]) {
    const last = view.of(container.name).at(-1);
    if (isSidecar(container) || !last) continue;
    if (last.exitCode !== 0 && !restarts(pod, container, { exitCode: last.exitCode, isInit: true })) return false;
  }
  return (pod.spec?.containers ?? []).some((container) => {
    const last = view.of(container.name).at(-1);
    return !last || restarts(pod, container, { exitCode: last.exitCode, isInit: false });
  });
}

/** Ephemeral containers that have not been started: each is started once and never again. */
export function newEphemeral({ spec }: Pod, view: View): Container[] {
  const all = (spec?.ephemeralContainers ?? []) as Container[];
  return all.filter(({ name }) => view.of(name).length === 0);
}
