import type { Container as Running, Sandbox } from "#agent/runtime";
import { type Container, isSidecar, type Pod } from "#api";
import { restarts } from "#kubelet";

/** What there is of a pod, as the plan looks at it. */
export interface View {
  sandboxes: Sandbox[];
  /** The sandbox that the pod lives in: the last one. */
  current: Sandbox | undefined;
  /** All containers of a name over all sandboxes, the last attempt last. */
  of(name: string): Running[];
  /** The last one in the current sandbox. */
  now(name: string): Running | undefined;
}

export function viewOf(sandboxes: Sandbox[]): View {
  const ordered = [...sandboxes].sort((a, b) => a.attempt - b.attempt || a.createdAt - b.createdAt);
  const byName = new Map<string, Running[]>();
  for (const container of ordered.flatMap((sandbox) => sandbox.containers)) {
    const others = byName.get(container.name);
    if (others) others.push(container);
    else byName.set(container.name, [container]);
  }
  for (const all of byName.values()) all.sort((a, b) => a.attempt - b.attempt || a.createdAt - b.createdAt);
  const current = ordered.at(-1);
  const of = (name: string): Running[] => byName.get(name) ?? [];
  return {
    sandboxes: ordered,
    current,
    of,
    now: (name) => of(name).findLast((container) => container.sandboxId === current?.id),
  };
}

/** What the plan asks about running containers. */
export interface Judgement {
  /** Startup is over: the startup probe has succeeded, or there is none. */
  started(container: Running, spec: Container): boolean;
  /** Why a running container has to go, if it has to. */
  condemned(container: Running, spec: Container): { message: string; graceSeconds?: number } | undefined;
}

export interface Plan {
  /** A sandbox is needed first. */
  sandbox: boolean;
  kill: { container: Running; message: string; graceSeconds?: number }[];
  start: Container[];
  /** Nothing runs and nothing will: the pod has come to its end. */
  finished: boolean;
}

/** Nothing of it runs or ever ran; one that was made and not started is what a crash left. */
const isMissing = (container: Running | undefined): container is undefined =>
  container === undefined || container.state === "created";

const hasEnded = (container: Running | undefined): boolean =>
  container?.state === "exited" || container?.state === "unknown";

/** The next steps for a pod that is to run. Pure: the same view gives the same plan. */
export function planFor(pod: Pod, view: View, judge: Judgement): Plan {
  const plan: Plan = { sandbox: false, kill: [], start: [], finished: false };
  const inits = (pod.spec?.initContainers ?? []) as Container[];
  const mains = pod.spec?.containers ?? [];
  if (view.current?.state !== "ready") {
    plan.finished = view.current !== undefined && !anyRuns(pod, view);
    plan.sandbox = !plan.finished;
    return plan;
  }
  // Once a main container was started, initialization is over, whatever became of its records.
  const initialized = mains.some(({ name }) => view.now(name));
  if (!planInits(pod, inits, view, judge, plan, initialized)) return plan;
  let alive = false;
  for (const container of mains) {
    const there = view.now(container.name);
    if (isMissing(there)) {
      plan.start.push(container);
      alive = true;
    } else if (hasEnded(there)) {
      if (!restarts(pod, container, there, false)) continue;
      plan.start.push(container);
      alive = true;
    } else {
      alive = true;
      condemn(plan, there, container, judge);
    }
  }
  if (alive) return plan;
  plan.finished = true;
  plan.start = [];
  plan.kill = [];
  return plan;
}

/** Plans the init containers; true when the main ones may go on. */
function planInits(
  pod: Pod,
  inits: Container[],
  view: View,
  judge: Judgement,
  plan: Plan,
  initialized: boolean,
): boolean {
  for (const container of inits) {
    const there = view.now(container.name);
    if (initialized && !isSidecar(container)) continue;
    if (isMissing(there)) {
      plan.start.push(container);
      if (initialized) continue;
      return false;
    }
    if (hasEnded(there)) {
      if (!isSidecar(container) && there.exitCode === 0) continue;
      if (restarts(pod, container, there, true)) plan.start.push(container);
      else plan.finished = true;
      if (initialized) continue;
      return false;
    }
    if (condemn(plan, there, container, judge)) return initialized;
    if (isSidecar(container) && judge.started(there, container)) continue;
    if (initialized) continue;
    return false;
  }
  return true;
}

function condemn(plan: Plan, there: Running, container: Container, judge: Judgement): boolean {
  const verdict = judge.condemned(there, container);
  if (verdict) plan.kill.push({ container: there, ...verdict });
  return verdict !== undefined;
}

/** Whether a new sandbox would have anything to run: what ended well or for good does not come back. */
function anyRuns(pod: Pod, view: View): boolean {
  for (const container of (pod.spec?.initContainers ?? []) as Container[]) {
    const last = view.of(container.name).at(-1);
    if (isSidecar(container) || !last) continue;
    if (last.exitCode !== 0 && !restarts(pod, container, last, true)) return false;
  }
  return (pod.spec?.containers ?? []).some((container) => {
    const last = view.of(container.name).at(-1);
    return !last || restarts(pod, container, last, false);
  });
}
