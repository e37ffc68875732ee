import { type Container, type ContainerStatus, isSidecar, type Pod, type PodCondition } from "#api";
import type { View } from "./plan.ts";

const names = (statuses: ContainerStatus[]): string => `[${statuses.map(({ name }) => name).join(" ")}]`;

export function initializedCondition(
  inits: Container[],
  statuses: ContainerStatus[],
  phase: string,
  view: View,
  mains: Container[],
): PodCondition {
  if (phase === "Succeeded") return { type: "Initialized", status: "True", reason: "PodCompleted" };
  const begun = mains.some(({ name }) => view.now(name));
  const incomplete = statuses.filter((status, index) =>
    isSidecar(inits[index]!) ? !status.started : !(status.state?.terminated?.exitCode === 0),
  );
  if (begun || incomplete.length === 0) return { type: "Initialized", status: "True" };
  return {
    type: "Initialized",
    status: "False",
    reason: "ContainersNotInitialized",
    message: `containers with incomplete status: ${names(incomplete)}`,
  };
}

/** Ready and ContainersReady, in upstream's order. `statuses` are those of sidecars and main containers. */
export function readinessConditions(pod: Pod, statuses: ContainerStatus[], phase: string): PodCondition[] {
  const containers = { type: "ContainersReady", ...containersReady(statuses, phase) };
  return [{ type: "Ready", ...podReady(pod, containers) }, containers];
}

type Verdict = Omit<PodCondition, "type">;

function containersReady(statuses: ContainerStatus[], phase: string): Verdict {
  if (phase === "Succeeded") return { status: "False", reason: "PodCompleted" };
  if (phase === "Failed") return { status: "False", reason: "PodFailed" };
  const unready = statuses.filter(({ ready }) => !ready);
  if (unready.length === 0) return { status: "True" };
  return {
    status: "False",
    reason: "ContainersNotReady",
    message: `containers with unready status: ${names(unready)}`,
  };
}

function podReady(pod: Pod, containers: PodCondition): Verdict {
  const { type: _, ...verdict } = containers;
  if (verdict.status !== "True") return verdict;
  const missing: string[] = [];
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const gate = (pod.status?.conditions ?? []).find(({ type }) => type === conditionType);
    if (!gate) missing.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    else if (gate.status !== "True") {
      missing.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`);
    }
  }
  if (missing.length === 0) return verdict;
  return { status: "False", reason: "ReadinessGatesNotReady", message: missing.join(", ") };
}
