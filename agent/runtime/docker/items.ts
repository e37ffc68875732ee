import type { Container } from "#agent/runtime";

/** The driver's labels. Those with a name of upstream's are those of cri-dockerd, for other tools. */
export const marks = {
  /** `podsandbox` or `container`. */
  type: "io.kubernetes.docker.type",
  podName: "io.kubernetes.pod.name",
  podNamespace: "io.kubernetes.pod.namespace",
  podUid: "io.kubernetes.pod.uid",
  containerName: "io.kubernetes.container.name",
  sandboxId: "io.kubernetes.sandbox.id",
  logPath: "io.kubernetes.container.logpath",
  /** The agent that owns it: several agents may share one engine. */
  owner: "skiff.dev/node",
  /** A Record as JSON: labels of the image and the pod cannot be confused with it. */
  record: "skiff.dev/record",
} as const;

/** What the driver stores with a sandbox or a container beside the engine's own facts. */
export interface StoredRecord {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  attempt: number;
  /** Of the sandbox that a container is in. */
  sandboxAttempt?: number;
  /** The image as the pod names it. */
  image?: string;
  hostNetwork?: boolean;
}

/** A container as the engine lists it. */
export interface Item {
  Id: string;
  Names: string[];
  ImageID: string;
  /** Seconds since the epoch. */
  Created: number;
  State: string;
  Labels: Record<string, string>;
  SizeRw?: number;
}

/** A container as the engine describes it. */
export interface Details {
  Id: string;
  Name: string;
  Created: string;
  Image: string;
  State: {
    Status: string;
    Running: boolean;
    OOMKilled: boolean;
    Pid: number;
    ExitCode: number;
    Error?: string;
    StartedAt: string;
    FinishedAt: string;
  };
  Config: { Tty: boolean; Labels: Record<string, string> };
}

export const recordOf = ({ Labels }: { Labels: Record<string, string> | null }): StoredRecord => {
  try {
    return JSON.parse(Labels?.[marks.record] ?? "") as StoredRecord;
  } catch {
    return { labels: {}, annotations: {}, attempt: 0 };
  }
};

/** The states of a container that has a process. */
export const isRunning = (state: string): boolean => ["running", "paused", "restarting", "stopping"].includes(state);

/** Milliseconds since the epoch; undefined for the zero time, which stands for no time. */
function time(text: string): number | undefined {
  const milliseconds = Date.parse(text);
  return Number.isFinite(milliseconds) && milliseconds > 0 ? milliseconds : undefined;
}

/**
 * A container of a pod. One that could not be started is exited with the reason ContainerCannotRun, though the engine
 * calls it created (cri-dockerd's ContainerStatus).
 */
export function containerView(item: Item, details: Details | undefined, imageId: string): Container {
  const { labels, annotations, attempt, image = "" } = recordOf(item);
  const base = {
    id: item.Id,
    sandboxId: item.Labels[marks.sandboxId] ?? "",
    name: item.Labels[marks.containerName] ?? "",
    attempt,
    createdAt: (details && time(details.Created)) ?? item.Created * 1000,
    image,
    imageId,
    logPath: item.Labels[marks.logPath] ?? "",
    labels,
    annotations,
  };
  if (!details) return { ...base, state: isRunning(item.State) ? "running" : "unknown" };
  const { State } = details;
  const startedAt = time(State.StartedAt);
  const started = startedAt === undefined ? {} : { startedAt };
  if (State.Running) return { ...base, ...started, state: "running" };
  if (startedAt === undefined && !failedToStart(details)) return { ...base, state: "created" };
  const finishedAt = time(State.FinishedAt) ?? base.createdAt;
  const reason = failedToStart(details)
    ? "ContainerCannotRun"
    : State.OOMKilled
      ? "OOMKilled"
      : State.ExitCode === 0
        ? "Completed"
        : "Error";
  return {
    ...base,
    ...(startedAt === undefined ? { startedAt: base.createdAt } : started),
    state: "exited",
    finishedAt,
    exitCode: State.ExitCode,
    reason,
    ...(State.Error ? { message: State.Error } : {}),
  };
}

export const failedToStart = ({ State }: Details): boolean =>
  time(State.StartedAt) === undefined && !State.Running && (State.ExitCode !== 0 || (State.Error ?? "") !== "");
