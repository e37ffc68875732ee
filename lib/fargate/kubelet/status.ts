import {
  type Container,
  type ContainerState,
  type ContainerStatus,
  goDuration,
  isSidecar,
  type Pod,
  type PodStatus,
  qosClassOf,
} from "#api";
import { formatTime, parseTime } from "#base";
import { isStopped } from "#fargate";
import { isOver, phaseOf, podConditions } from "#kubelet";
import { waitsForHealth } from "./health.ts";
import { hasRun, type Outcome, pullFailureOf } from "./outcome.ts";
import type { Task, TaskContainer } from "./task.ts";

export interface Shown {
  pod: Pod;
  task: Task;
  /** For a stopped task. */
  outcome?: Outcome | undefined;
  /** Milliseconds until the next task, if there will be one. */
  backoff?: number;
  now: number;
}

/** A pod's status by its task, every field that a kubelet owns. Transition times are set when it is written. */
export function statusOf(shown: Shown): PodStatus {
  const { pod, task, outcome, now } = shown;
  const { initContainers = [], containers = [] } = pod.spec ?? {};
  const known = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  const before = (name: string) => known.find((status) => status.name === name);
  const initialized = containers.some(({ name }) => isBegun(containerOf(task, name)));
  const show = (container: Container, isInit: boolean): ContainerStatus => {
    const waiting = !isInit && (initContainers.length === 0 || initialized) ? "ContainerCreating" : "PodInitializing";
    return containerStatus(shown, container, { before: before(container.name), waiting, isInit });
  };
  const inits = initContainers.map((container) => show(container, true));
  const mains = containers.map((container) => show(container, false));
  // An ended pod keeps its last address; the next task has its own.
  const ip = addressOf(task) ?? (isStopped(task) ? pod.status?.podIP : undefined);
  const over = outcome?.is === "over" ? outcome : undefined;
  // The task decides when a pod has ended; until then another may follow.
  const reached = phaseOf({ pod, inits, mains, terminal: false, initialized });
  const phase = over?.phase ?? (isOver(reached) ? "Running" : reached);
  const networkUp = ip !== undefined && !isStopped(task);
  return {
    observedGeneration: pod.metadata.generation,
    phase,
    conditions: podConditions({ pod, phase, inits, mains, initialized, networkUp }),
    ...(over?.reason === undefined ? {} : { reason: over.reason, message: over.message }),
    // A task's host is not shared: it is the pod's own.
    ...(ip === undefined ? {} : { podIP: ip, podIPs: [{ ip }], hostIP: ip, hostIPs: [{ ip }] }),
    startTime: pod.status?.startTime ?? formatTime(now),
    qosClass: qosClassOf(pod.spec ?? { containers: [] }),
    ...(inits.length > 0 ? { initContainerStatuses: inits } : {}),
    containerStatuses: mains,
  } as PodStatus;
}

const containerOf = (task: Task, name: string): TaskContainer | undefined =>
  task.containers.find((container) => container.name === name);

const isBegun = (container: TaskContainer | undefined): boolean =>
  container !== undefined && (container.lastStatus === "RUNNING" || hasRun(container));

/** The address of the task's network interface. */
export function addressOf({ containers, attachments }: Task): string | undefined {
  const details = attachments.flatMap((attachment) => attachment.details ?? []);
  const address = details.find(({ name }) => name === "privateIPv4Address")?.value;
  if (address) return address;
  return containers.flatMap(({ networkInterfaces = [] }) => networkInterfaces).find((each) => each.privateIpv4Address)
    ?.privateIpv4Address;
}

interface About {
  before: ContainerStatus | undefined;
  /** The reason for waiting without a failure. */
  waiting: string;
  isInit: boolean;
}

function containerStatus(shown: Shown, container: Container, about: About): ContainerStatus {
  const { task, outcome } = shown;
  const { before, isInit } = about;
  const there = containerOf(task, container.name);
  const containerID = there?.runtimeId === undefined ? undefined : `ecs://${there.runtimeId}`;
  // ECS restarts a container in place under another id.
  const restarted =
    before?.containerID !== undefined && containerID !== undefined && before.containerID !== containerID;
  const state = stateOf(shown, container, about, containerID);
  const ended = outcome?.is === "again" && there !== undefined && hasRun(there);
  const lastState = ended ? endOf(shown, there, before, containerID) : (before?.lastState ?? {});
  const running = state.running !== undefined && task.desiredStatus !== "STOPPED";
  const healthy = !waitsForHealth(container) || there?.healthStatus === "HEALTHY";
  const up = running && (container.startupProbe === undefined || healthy || before?.started === true);
  const done = state.terminated?.exitCode === 0;
  return {
    name: container.name,
    state,
    lastState,
    ready: isInit && !isSidecar(container) ? done : up && healthy,
    restartCount: (before?.restartCount ?? 0) + (restarted || ended ? 1 : 0),
    image: container.image ?? "",
    imageID: there?.imageDigest === undefined ? "" : `${(container.image ?? "").split("@")[0]}@${there.imageDigest}`,
    // While the next task is awaited there is no container, and its first id is not a restart.
    ...(containerID === undefined || outcome?.is === "again" ? {} : { containerID }),
    started: up,
  } as ContainerStatus;
}

function stateOf(
  shown: Shown,
  container: Container,
  { before, waiting }: About,
  containerID: string | undefined,
): ContainerState {
  const { pod, task, outcome, backoff = 0, now } = shown;
  const there = containerOf(task, container.name);
  if (outcome?.is === "again") {
    const pull = there && pullFailureOf(there, task);
    if (pull !== undefined) return { waiting: { reason: "ErrImagePull", message: pull } };
    if (!there || !hasRun(there)) return { waiting: { reason: waiting } };
    const { namespace, name, uid } = pod.metadata;
    const whose = `container=${container.name} pod=${name}_${namespace}(${uid})`;
    const message = `back-off ${goDuration(backoff * 1e6)} restarting failed ${whose}`;
    return { waiting: { reason: "CrashLoopBackOff", message } };
  }
  if (there?.lastStatus === "RUNNING" && !isStopped(task)) {
    const same = before?.containerID === containerID ? before?.state?.running?.startedAt : undefined;
    return { running: { startedAt: same ?? formatTime(task.startedAt ? parseTime(task.startedAt) : now) } };
  }
  if (there && hasRun(there)) return endOf(shown, there, before, containerID);
  if (isStopped(task)) {
    // Its end will never be reported.
    const message = there?.reason ?? "The container could not be located when the pod was terminated";
    return { terminated: { exitCode: 137, reason: "ContainerStatusUnknown", message } };
  }
  return { waiting: { reason: waiting } };
}

function endOf(
  { task, now }: Shown,
  there: TaskContainer,
  before: ContainerStatus | undefined,
  containerID: string | undefined,
): ContainerState {
  const { exitCode = 137, reason } = there;
  const known = before?.state?.terminated;
  if (known && known.containerID === containerID && known.exitCode === exitCode) return { terminated: known };
  const startedAt = before?.state?.running?.startedAt ?? timeOf(task.startedAt);
  const outOfMemory = /OutOfMemory/i.test(reason ?? "");
  return {
    terminated: {
      exitCode,
      reason: outOfMemory ? "OOMKilled" : exitCode === 0 ? "Completed" : "Error",
      ...(reason === undefined ? {} : { message: reason }),
      ...(startedAt === undefined ? {} : { startedAt }),
      finishedAt: timeOf(task.stoppedAt) ?? formatTime(now),
      ...(containerID === undefined ? {} : { containerID }),
    },
  };
}

const timeOf = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : formatTime(parseTime(text));
