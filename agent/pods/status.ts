import type { Container as RuntimeContainer } from "#agent/runtime";
import {
  type Container,
  type ContainerState,
  type ContainerStatus,
  isSidecar,
  type Pod,
  type PodCondition,
  type PodSpec,
  type PodStatus,
  qosClassOf,
  type ResourceRequirements,
  type VolumeMountStatus,
} from "#api";
import { formatTime } from "#base";
import {
  couldRestartAll,
  endedStatuses,
  isOver,
  phaseOf,
  podConditions,
  podLimits,
  podRequests,
  restartingAll,
  restarts,
  withShortMessages,
} from "#kubelet";
import type { NodeFacts } from "./context.ts";
import type { View } from "./plan.ts";
import { startsAllAgain } from "./restart-all.ts";

/** What the worker knows of a pod beside what the runtime lists. */
export interface PodProgress {
  /** Why a container waits, since the last try to start it. */
  waiting(name: string): { reason: string; message: string } | undefined;
  started(container: RuntimeContainer, spec: Container): boolean;
  ready(container: RuntimeContainer, spec: Container): boolean;
  terminationMessage(container: RuntimeContainer): string | undefined;
  /** Why the node itself has ended the pod. */
  failure: { reason: string; message: string } | undefined;
  /** Why the node has ended it for a lack of resources, for the condition DisruptionTarget. */
  disruption?: string;
  /** Containers that were removed for the restart of all, with the number of their restarts. */
  restartingAll: ReadonlyMap<string, number>;
  /** Conditions of a resize, and what is in effect of it. */
  resize: {
    conditions: PodCondition[];
    appliedTo(container: RuntimeContainer): ResourceRequirements | undefined;
    podInEffect(pod: Pod): ResourceRequirements;
  };
  /** The pod has ended and none of its containers runs any more. */
  terminal: boolean;
  /** When the node received the pod, in milliseconds since the epoch. */
  startTime: number;
}

export interface StatusInput {
  pod: Pod;
  view: View;
  progress: PodProgress;
  node: NodeFacts;
}

/** The status of a pod: every field that the kubelet owns. Transition times are set when it is written. */
export function statusOf({ pod, view, progress, node }: StatusInput): PodStatus {
  const inits = (pod.spec?.initContainers ?? []) as Container[];
  const mains = pod.spec?.containers ?? [];
  const ephemeral = (pod.spec?.ephemeralContainers ?? []) as Container[];
  const initializing = inits.length > 0 && !isInitialized(pod, view, progress);
  const show = (list: Container[], waiting: string, isInit: boolean): ContainerStatus[] =>
    list.map((container) => containerStatus({ pod, container, view, progress, node, waiting, isInit }));
  const shown = {
    inits: show(inits, "PodInitializing", true),
    mains: show(mains, initializing ? "PodInitializing" : "ContainerCreating", false),
  };
  const { inits: initStatuses, mains: statuses } = progress.terminal ? endedStatuses(pod, shown) : shown;
  const initialized = mains.some(({ name }) => isStarted(view.now(name)));
  const reached = phaseOf({ pod, ...shown, terminal: progress.terminal, initialized });
  const phase = progress.failure ? "Failed" : reached;
  // Conditions report the end at once, the phase only when no container can run any more: others take the phase for
  // the end (upstream's mergePodStatus).
  const isEnding = isOver(phase) && !progress.terminal && runsIn(view);
  const ips = pod.spec?.hostNetwork ? node.ips : (view.current?.ips ?? []);
  // A pod that has ended keeps its address.
  const known = ips.length > 0 || !isOver(phase) ? ips : (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  const networkUp = view.current?.state === "ready" && (pod.spec?.hostNetwork === true || ips.length > 0);
  // A pod whose containers are all started again stays initialized.
  const begun =
    mains.some(({ name }) => view.now(name)) || (progress.restartingAll.size > 0 && wasInitialized(pod.status));
  const conditions = podConditions({ pod, phase, inits: initStatuses, mains: statuses, initialized: begun, networkUp });
  if (couldRestartAll(pod.spec ?? noSpec)) conditions.push(allRestarting(pod, phase, view));
  conditions.push(...progress.resize.conditions);
  if (progress.disruption !== undefined) conditions.push(disruptionTarget(pod, progress.disruption));
  const spec = pod.spec ?? noSpec;
  return withShortMessages(pod, {
    observedGeneration: pod.metadata.generation,
    phase: isEnding ? (isOver(reached) ? (pod.status?.phase ?? "Pending") : reached) : phase,
    conditions,
    ...(isEnding ? {} : progress.failure),
    hostIP: node.ips[0],
    hostIPs: node.ips.map((ip) => ({ ip })),
    ...(known.length > 0 ? { podIP: known[0], podIPs: known.map((ip) => ({ ip })) } : {}),
    startTime: formatTime(progress.startTime),
    qosClass: qosClassOf(pod.spec ?? { containers: [] }),
    ...(inits.length > 0 ? { initContainerStatuses: initStatuses } : {}),
    containerStatuses: statuses,
    ...(ephemeral.length > 0 ? { ephemeralContainerStatuses: show(ephemeral, "ContainerCreating", false) } : {}),
    allocatedResources: podRequests(spec),
    resources:
      phase === "Running" ? progress.resize.podInEffect(pod) : { requests: podRequests(spec), limits: podLimits(spec) },
  } as PodStatus);
}

const noSpec: PodSpec = { containers: [] };

const wasInitialized = (status: PodStatus | undefined): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === "Initialized" && value === "True") === true;

/** Whether a rule has begun to restart all containers (upstream's GenerateAllContainersRestartingCondition). */
function allRestarting(pod: Pod, phase: string, view: View): PodCondition {
  const { generation } = pod.metadata;
  const condition = {
    type: "AllContainersRestarting",
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
  if (isOver(phase))
    return { ...condition, status: "False", reason: phase === "Failed" ? "PodFailed" : "PodCompleted" };
  if (!startsAllAgain(pod, view)) return { ...condition, status: "False" };
  const message = "container exited with restart policy rule";
  return { ...condition, status: "True", reason: "RestartAllContainersStarted", message };
}

const disruptionTarget = ({ metadata: { generation } }: Pod, message: string): PodCondition => ({
  type: "DisruptionTarget",
  ...(generation === undefined ? {} : { observedGeneration: generation }),
  ...{ status: "True", reason: "TerminationByKubelet", message },
});

/** The status of a pod that the node has rejected: it has no containers (upstream's rejectPod). */
export const rejectedStatus = (
  pod: Pod,
  { reason, message }: { reason: string; message: string },
  startTime: number,
): PodStatus =>
  ({
    observedGeneration: pod.metadata.generation,
    phase: "Failed",
    reason,
    message,
    startTime: formatTime(startTime),
    qosClass: qosClassOf(pod.spec ?? { containers: [] }),
  }) as PodStatus;

const runsIn = (view: View): boolean =>
  view.sandboxes.some(({ containers }) => containers.some(({ state }) => state === "running"));

const isStarted = (container: RuntimeContainer | undefined): boolean =>
  container !== undefined && container.state !== "created";

function isInitialized(pod: Pod, view: View, progress: PodProgress): boolean {
  if ((pod.spec?.containers ?? []).some(({ name }) => view.now(name))) return true;
  return ((pod.spec?.initContainers ?? []) as Container[]).every((container) => {
    const current = view.now(container.name);
    if (isSidecar(container)) return current?.state === "running" && progress.started(current, container);
    return current?.state === "exited" && current.exitCode === 0;
  });
}

interface ContainerInput extends StatusInput {
  container: Container;
  /** The reason for waiting before the first try. */
  waiting: string;
  isInit: boolean;
}

function containerStatus({ pod, container, view, progress, node, waiting, isInit }: ContainerInput): ContainerStatus {
  const all = view.of(container.name);
  const last = all.at(-1);
  const count = last ? undefined : progress.restartingAll.get(container.name);
  if (count !== undefined) return removedStatus(container, count, progress.waiting(container.name));
  if (!last) {
    const known = lostStatus(pod, container.name, progress.terminal || isOver(pod.status?.phase));
    if (known) return known;
  }
  const trouble = isToStart(pod, container, { last, isInit }) ? progress.waiting(container.name) : undefined;
  const inCurrent = last !== undefined && last.sandboxId === view.current?.id;
  let state: ContainerState;
  let lastState: ContainerState = {};
  if (last && last.state !== "created" && !(trouble && last.state === "exited")) {
    state = stateOf(last, progress, node);
    const before = all.at(-2);
    if (before?.state === "exited") lastState = stateOf(before, progress, node);
    else if (progress.restartingAll.has(container.name)) lastState = { terminated: removed } as ContainerState;
    else lastState = reportedLastState(pod, `${node.runtimeName}://${last.id}`);
  } else {
    state = { waiting: trouble ? textOf(trouble) : { reason: waiting } };
    const ended = last?.state === "exited" ? last : all.at(-2);
    if (ended) lastState = stateOf(ended, progress, node);
  }
  const running = last?.state === "running" && inCurrent;
  const done = last?.state === "exited" && last.exitCode === 0;
  const { resources } = container;
  return {
    name: container.name,
    state,
    lastState,
    ready:
      isInit && !isSidecar(container)
        ? done
        : running && progress.started(last, container) && progress.ready(last, container),
    restartCount: last?.attempt ?? 0,
    image: last?.image || container.image || "",
    imageID: last?.imageId ?? "",
    ...(last ? { containerID: `${node.runtimeName}://${last.id}` } : {}),
    started: running && progress.started(last, container),
    ...(last && resources?.requests ? { allocatedResources: resources.requests } : {}),
    ...(last ? { resources: inEffect(resources, running ? progress.resize.appliedTo(last) : undefined) } : {}),
    ...(container.volumeMounts?.length ? { volumeMounts: container.volumeMounts.map(mountStatus) } : {}),
    ...(last?.user ? { user: { linux: last.user } } : {}),
  } as ContainerStatus;
}

/** What is granted, with the cpu and memory that are in effect (upstream's convertContainerStatusResources). */
function inEffect(granted: ResourceRequirements = {}, applied: ResourceRequirements | undefined): ResourceRequirements {
  const merged = { ...granted };
  for (const part of ["requests", "limits"] as const) {
    if (granted[part]) merged[part] = { ...granted[part], ...applied?.[part] };
  }
  return merged;
}

/** Whether a container is to be started, for the first time or again (upstream's ShouldContainerBeRestarted). */
function isToStart(
  pod: Pod,
  container: Container,
  { last, isInit }: { last: RuntimeContainer | undefined; isInit: boolean },
): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  return (
    last?.state !== "running" &&
    (last?.state !== "exited" || restarts(pod, container, { exitCode: last.exitCode, isInit }))
  );
}

/** What the API has of the container before this one, if the runtime no longer has it. */
function reportedLastState({ status }: Pod, containerID: string): ContainerState {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return all.find((one) => one.containerID === containerID)?.lastState ?? {};
}

const removed = {
  reason: restartingAll,
  message: "The container is removed because RestartAllContainers in place",
  exitCode: 137,
};

/** The status of a container that waits for its start after all containers were removed. */
const removedStatus = (
  container: Container,
  restartCount: number,
  trouble: { reason: string; message: string } | undefined,
): ContainerStatus =>
  ({
    name: container.name,
    state: { waiting: trouble ? textOf(trouble) : { reason: restartingAll, message: removed.message } },
    lastState: { terminated: removed },
    ready: false,
    restartCount,
    image: container.image ?? "",
    imageID: "",
    started: false,
    ...(container.volumeMounts?.length ? { volumeMounts: container.volumeMounts.map(mountStatus) } : {}),
  }) as ContainerStatus;

/** The API's status of a container that the runtime no longer has and that will not be replaced. */
function lostStatus(pod: Pod, name: string, over: boolean): ContainerStatus | undefined {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
  const known = [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses].find(
    (status) => status.name === name,
  );
  if (!over || !known?.containerID) return undefined;
  if (known.state?.terminated) return { ...known, started: false };
  const { startedAt } = known.state?.running ?? {};
  const terminated = {
    exitCode: 137,
    reason: "ContainerStatusUnknown",
    message: "The container could not be located when the pod was terminated",
    ...(startedAt === undefined ? {} : { startedAt }),
    containerID: known.containerID,
  };
  return { ...known, ready: false, started: false, state: { terminated } };
}

const textOf = ({ reason, message }: { reason: string; message: string }) => ({
  reason,
  ...(message === "" ? {} : { message }),
});

const mountStatus = ({ name, mountPath, readOnly, recursiveReadOnly }: VolumeMountStatus): VolumeMountStatus =>
  ({
    name,
    mountPath,
    ...(readOnly ? { readOnly, recursiveReadOnly: recursiveReadOnly === "Enabled" ? "Enabled" : "Disabled" } : {}),
  }) as VolumeMountStatus;

function stateOf(container: RuntimeContainer, progress: PodProgress, node: NodeFacts): ContainerState {
  const time = (at: number | undefined): string | undefined => (at === undefined ? undefined : formatTime(at));
  if (container.state === "running") return { running: { startedAt: time(container.startedAt) } } as ContainerState;
  const message = progress.terminationMessage(container) || container.message;
  return {
    terminated: {
      exitCode: container.exitCode ?? 137,
      reason: container.reason ?? (container.state === "unknown" ? "ContainerStatusUnknown" : "Error"),
      ...(message ? { message } : {}),
      // A container that could not be started has the runtime's zero, as upstream's does.
      startedAt: time(container.startedAt ?? (container.state === "exited" ? 0 : undefined)),
      finishedAt: time(container.finishedAt),
      containerID: `${node.runtimeName}://${container.id}`,
    },
  } as ContainerState;
}
