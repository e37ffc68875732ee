import { type Container, type ContainerStatus, isSidecar, type Pod, type PodCondition } from "#api";

export interface ConditionsInput {
  pod: Pod;
  phase: string;
  /** In the order of the pod's init containers. */
  inits: ContainerStatus[];
  /** In the order of the pod's containers. */
  mains: ContainerStatus[];
  /** A main container has been started. */
  initialized: boolean;
  /** The pod has its network, so that its containers can be started. */
  networkUp: boolean;
}

/**
 * The conditions that a kubelet owns, in upstream's order. Their transition times are set when the status is merged.
 */
export function podConditions({ pod, phase, inits, mains, initialized, networkUp }: ConditionsInput): PodCondition[] {
  const containers = (pod.spec?.initContainers ?? []) as Container[];
  const sidecars = inits.filter((_, index) => isSidecar(containers[index]!));
  const ready = { type: "ContainersReady", ...containersReady([...sidecars, ...mains], phase) };
  const conditions: PodCondition[] = [
    { type: "PodReadyToStartContainers", status: networkUp ? "True" : "False" },
    initializedCondition(containers, inits, { phase, initialized }),
    { type: "Ready", ...podReady(pod, ready) },
    ready,
    { type: "PodScheduled", status: "True" },
  ];
  return conditions.map((condition) => ({ ...condition, observedGeneration: pod.metadata.generation }));
}

const names = (statuses: ContainerStatus[]): string => `[${statuses.map(({ name }) => name).join(" ")}]`;

function initializedCondition(
  inits: Container[],
  statuses: ContainerStatus[],
  { phase, initialized }: Pick<ConditionsInput, "phase" | "initialized">,
): PodCondition {
  if (phase === "Succeeded") return { type: "Initialized", status: "True", reason: "PodCompleted" };
  const incomplete = statuses.filter((status, index) =>
    isSidecar(inits[index]!) ? !status.started : status.state?.terminated?.exitCode !== 0,
  );
  if (initialized || incomplete.length === 0) return { type: "Initialized", status: "True" };
  return {
    type: "Initialized",
    status: "False",
    reason: "ContainersNotInitialized",
    message: `containers with incomplete status: ${names(incomplete)}`,
  };
}

type Readiness = Omit<PodCondition, "type">;

function containersReady(statuses: ContainerStatus[], phase: string): Readiness {
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

function podReady(pod: Pod, containers: PodCondition): Readiness {
  const { type: _, ...readiness } = containers;
  if (readiness.status !== "True") return readiness;
  const missing: string[] = [];
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const gate = (pod.status?.conditions ?? []).find(({ type }) => type === conditionType);
    if (!gate) missing.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    else if (gate.status !== "True") {
      missing.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`);
    }
  }
  if (missing.length === 0) return readiness;
  return { status: "False", reason: "ReadinessGatesNotReady", message: missing.join(", ") };
}
