import type { Container as Running } from "#agent/runtime";
import {
  type Container,
  type ContainerState,
  type ContainerStatus,
  isSidecar,
  type Pod,
  type PodStatus,
  qualityOf,
  type VolumeMountStatus,
} from "#api";
import { formatTime } from "#base";
import { endedStatuses, isOver, phaseOf, podConditions, restarts } from "#kubelet";
import type { NodeFacts } from "./context.ts";
import type { View } from "./plan.ts";

/** What the worker remembers of a pod beside what the runtime knows. */
export interface Memory {
  /** Why a container waits, from the last try to start it. */
  waiting(name: string): { reason: string; message: string } | undefined;
  started(container: Running, spec: Container): boolean;
  ready(container: Running, spec: Container): boolean;
  terminationMessage(container: Running): string | undefined;
  /** The pod was ended by the node itself. */
  failure: { reason: string; message: string } | undefined;
  /** Everything is over and nothing runs any more. */
  terminal: boolean;
  /** Since when the pod is on this node, in milliseconds. */
  startTime: number;
}

/** The status of a pod, every field that the kubelet owns. Transition times are set when it is written. */
export function statusOf(pod: Pod, view: View, memory: Memory, node: NodeFacts): PodStatus {
  const inits = (pod.spec?.initContainers ?? []) as Container[];
  const mains = pod.spec?.containers ?? [];
  const ephemeral = (pod.spec?.ephemeralContainers ?? []) as Container[];
  const initializing = inits.length > 0 && !isInitialized(pod, view, memory);
  const show = (list: Container[], waiting: string, isInit: boolean): ContainerStatus[] =>
    list.map((container) => containerStatus({ pod, container, view, memory, node, waiting, isInit }));
  const shown = {
    inits: show(inits, "PodInitializing", true),
    mains: show(mains, initializing ? "PodInitializing" : "ContainerCreating", false),
  };
  const { inits: initStatuses, mains: statuses } = memory.terminal ? endedStatuses(pod, shown) : shown;
  const initialized = mains.some(({ name }) => isStarted(view.now(name)));
  const reached = phaseOf({ pod, ...shown, terminal: memory.terminal, initialized });
  const phase = memory.failure ? "Failed" : reached;
  // Conditions say at once that the pod ends. The phase says so when nothing can run any more: others take it for the
  // end (upstream's mergePodStatus).
  const isEnding = isOver(phase) && !memory.terminal && runsIn(view);
  const ips = pod.spec?.hostNetwork ? node.ips : (view.current?.ips ?? []);
  // A pod that has ended keeps showing the address that it had.
  const known = ips.length > 0 || !isOver(phase) ? ips : (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  const networkUp = view.current?.state === "ready" && (pod.spec?.hostNetwork === true || ips.length > 0);
  const begun = mains.some(({ name }) => view.now(name));
  const conditions = podConditions({ pod, phase, inits: initStatuses, mains: statuses, initialized: begun, networkUp });
  return {
    observedGeneration: pod.metadata.generation,
    phase: isEnding ? (isOver(reached) ? (pod.status?.phase ?? "Pending") : reached) : phase,
    conditions,
    ...(isEnding ? {} : memory.failure),
    hostIP: node.ips[0],
    hostIPs: node.ips.map((ip) => ({ ip })),
    ...(known.length > 0 ? { podIP: known[0], podIPs: known.map((ip) => ({ ip })) } : {}),
    startTime: formatTime(memory.startTime),
    qosClass: qualityOf(pod.spec ?? { containers: [] }),
    ...(inits.length > 0 ? { initContainerStatuses: initStatuses } : {}),
    containerStatuses: statuses,
    ...(ephemeral.length > 0 ? { ephemeralContainerStatuses: show(ephemeral, "ContainerCreating", false) } : {}),
  } as PodStatus;
}

/** The status of a pod that the node did not take: nothing of it ever ran (upstream's rejectPod). */
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
    qosClass: qualityOf(pod.spec ?? { containers: [] }),
  }) as PodStatus;

const runsIn = (view: View): boolean =>
  view.sandboxes.some(({ containers }) => containers.some(({ state }) => state === "running"));

const isStarted = (container: Running | undefined): boolean => container !== undefined && container.state !== "created";

function isInitialized(pod: Pod, view: View, memory: Memory): boolean {
  if ((pod.spec?.containers ?? []).some(({ name }) => view.now(name))) return true;
  return ((pod.spec?.initContainers ?? []) as Container[]).every((container) => {
    const there = view.now(container.name);
    if (isSidecar(container)) return there?.state === "running" && memory.started(there, container);
    return there?.state === "exited" && there.exitCode === 0;
  });
}

interface Shown {
  pod: Pod;
  container: Container;
  view: View;
  memory: Memory;
  node: NodeFacts;
  /** The reason for waiting where nothing was tried yet. */
  waiting: string;
  isInit: boolean;
}

function containerStatus({ pod, container, view, memory, node, waiting, isInit }: Shown): ContainerStatus {
  const all = view.of(container.name);
  const last = all.at(-1);
  if (!last) {
    const known = lostStatus(pod, container.name, memory.terminal || isOver(pod.status?.phase));
    if (known) return known;
  }
  const trouble = startsAgain(pod, container, last, isInit) ? memory.waiting(container.name) : undefined;
  const inCurrent = last !== undefined && last.sandboxId === view.current?.id;
  let state: ContainerState;
  let lastState: ContainerState = {};
  if (last && last.state !== "created" && !(trouble && last.state === "exited")) {
    state = stateOf(last, memory, node);
    const before = all.at(-2);
    if (before?.state === "exited") lastState = stateOf(before, memory, node);
  } else {
    state = { waiting: trouble ? textOf(trouble) : { reason: waiting } };
    const ended = last?.state === "exited" ? last : all.at(-2);
    if (ended) lastState = stateOf(ended, memory, node);
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
        : running && memory.started(last, container) && memory.ready(last, container),
    restartCount: last?.attempt ?? 0,
    image: last?.image || container.image || "",
    imageID: last?.imageId ?? "",
    ...(last ? { containerID: `${node.runtimeName}://${last.id}` } : {}),
    started: running && memory.started(last, container),
    ...(resources?.requests ? { allocatedResources: resources.requests } : {}),
    ...(resources && running ? { resources: { ...resources } } : {}),
    ...(container.volumeMounts?.length ? { volumeMounts: container.volumeMounts.map(mountStatus) } : {}),
  } as ContainerStatus;
}

/** Whether a container is to be started, for the first time or again (upstream's ShouldContainerBeRestarted). */
function startsAgain(pod: Pod, container: Container, last: Running | undefined, isInit: boolean): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  return last?.state !== "running" && (last?.state !== "exited" || restarts(pod, container, last, isInit));
}

/** What the API says of a container that the runtime has lost, where nothing will take its place. */
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

function stateOf(container: Running, memory: Memory, node: NodeFacts): ContainerState {
  const time = (at: number | undefined): string | undefined => (at === undefined ? undefined : formatTime(at));
  if (container.state === "running") return { running: { startedAt: time(container.startedAt) } } as ContainerState;
  const message = memory.terminationMessage(container) || container.message;
  return {
    terminated: {
      exitCode: container.exitCode ?? 137,
      reason: container.reason ?? (container.state === "unknown" ? "ContainerStatusUnknown" : "Error"),
      ...(message ? { message } : {}),
      // A container that could not be started shows the runtime's zero, as upstream's does.
      startedAt: time(container.startedAt ?? (container.state === "exited" ? 0 : undefined)),
      finishedAt: time(container.finishedAt),
      containerID: `${node.runtimeName}://${container.id}`,
    },
  } as ContainerState;
}
