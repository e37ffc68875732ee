import type { Duplex, Readable, Writable } from "node:stream";
import type { ContainerSpec, SandboxSpec } from "./spec.ts";

/** An error of the runtime, with the step in which it happened. */
export class RuntimeError extends Error {
  /** The errors that callers distinguish; `failed` for all others. */
  readonly reason: RuntimeReason;
  constructor(reason: RuntimeReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RuntimeError";
    this.reason = reason;
  }
}

/**
 * - `notFound`: no such sandbox, container or image.
 * - `create`, `start`: the container could not be created, or was created and could not be started.
 * - `network`: the sandbox's network could not be set up.
 * - `unavailable`: the runtime did not answer; a later try may succeed.
 * - `registry`: the registry could not be reached or refused; the message names the cause.
 * - `timeout`: the caller's time ran out.
 * - `unsupported`: this driver does not support it; the message names the feature.
 */
export type RuntimeReason =
  | "notFound"
  | "create"
  | "start"
  | "network"
  | "unavailable"
  | "registry"
  | "timeout"
  | "unsupported"
  | "failed";

export const isRuntimeError = (error: unknown, reason?: RuntimeReason): error is RuntimeError =>
  error instanceof RuntimeError && (reason === undefined || error.reason === reason);

/** The result of `reading`; undefined when it rejects with `notFound`. */
export async function ignoreMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isRuntimeError(error, "notFound")) return undefined;
    throw error;
  }
}

/** A pod's sandbox as the runtime lists it, with its containers, including exited ones. */
export interface Sandbox {
  id: string;
  name: string;
  namespace: string;
  uid: string;
  attempt: number;
  /** `notReady`: stopped or failed; it has no network. */
  state: "ready" | "notReady";
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** The pod's own addresses, the primary first; empty with host networking and where the driver has none. */
  ips: string[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  containers: Container[];
}

/** A container as the runtime lists it. Times are milliseconds since the epoch, absent where they do not apply. */
export interface Container {
  id: string;
  sandboxId: string;
  name: string;
  attempt: number;
  state: "created" | "running" | "exited" | "unknown";
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  exitCode?: number;
  /** The runtime's reason for its end, such as `OOMKilled`, `Error`, `Completed`, `StartError`. */
  reason?: string;
  message?: string;
  /** The image as the caller named it. */
  image: string;
  /** The `imageID` of a pod's status. */
  imageId: string;
  logPath?: string;
  /** The identity of its first process; absent for runtimes that do not report it. */
  user?: { uid: number; gid: number; supplementalGroups: number[] };
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

/**
 * Sandboxes and the containers in them. Every call is idempotent: it can be repeated after a crash or a lost answer,
 * and ending a missing sandbox or container succeeds.
 */
export interface PodPort {
  /**
   * Creates the pod's sandbox with its network and resolves once it is ready. Resolves with an existing ready sandbox
   * of the same uid and attempt.
   */
  runSandbox(spec: SandboxSpec): Promise<Sandbox>;
  /** Kills its containers and removes its network. Containers stay listed and their logs readable. */
  stopSandbox(id: string): Promise<void>;
  /** Stops it if it runs and removes it with its containers and their logs in memory. */
  removeSandbox(id: string): Promise<void>;
  /**
   * Creates a container and starts it. Resolves with its id once its process runs. An existing container of the same
   * name and attempt is used, and started unless it has run. Throws `create` or `start`; after `start` the container
   * may be listed as exited, with the reason. The image must be present.
   */
  startContainer(start: ContainerStart): Promise<string>;
  /**
   * Sends its stop signal, kills it after `graceSeconds`, and resolves when it has ended. 0 kills at once.
   */
  stopContainer(id: string, graceSeconds: number): Promise<void>;
  /** Kills it if it runs and removes it with its log in memory; a log file stays. */
  removeContainer(id: string): Promise<void>;
  /** Applies new limits to a running container at once. */
  resizeContainer(id: string, resources: ContainerSpec["resources"]): Promise<void>;
  /** All sandboxes of this node, or one pod's, including those of earlier processes. */
  list(filter?: { uid?: string }): Promise<Sandbox[]>;
}

export interface ContainerStart {
  sandboxId: string;
  /** The sandbox's spec: drivers have no state of their own, and some need it again. */
  sandbox: SandboxSpec;
  container: ContainerSpec;
}

export interface Image {
  /** The runtime's id. */
  id: string;
  /** `name:tag` and `name@digest`. */
  tags: string[];
  digests: string[];
  size: number;
  /** The image's user: a uid, or a name; absent: root. */
  user?: { uid: number } | { name: string };
  /** Never removed to free disk space. */
  pinned: boolean;
}

export interface RegistryCredentials {
  username?: string | undefined;
  password?: string | undefined;
  /** Instead of both: base64 of `username:password`. */
  auth?: string | undefined;
  identityToken?: string | undefined;
  registryToken?: string | undefined;
}

/** Images on the node. The caller decides when to pull and when to retry. */
export interface ImagePort {
  /** The image if it is present. */
  find(reference: string): Promise<Image | undefined>;
  /**
   * Pulls from the registry that the reference names, or from its mirror. Throws `registry` with the registry's
   * message, `notFound` when the registry has no such image, `unsupported` when the driver has no images.
   */
  pull(reference: string, credentials?: RegistryCredentials, signal?: AbortSignal): Promise<Image>;
  list(): Promise<Image[]>;
  /** Removes the image with all its names. An image that a container uses may stay. */
  remove(reference: string): Promise<void>;
  /**
   * Mounts the files of a present image at a folder, read-only, for volumes of images; an existing mount stays. The
   * image must stay present until the folder is unmounted. Absent for drivers without images.
   */
  mount?: (imageId: string, folder: string) => Promise<void>;
}

export interface LogOptions {
  /** Follows until the container has ended and everything is read, or the signal aborts. */
  follow?: boolean | undefined;
  /** Only this many of the last lines. */
  tailLines?: number | undefined;
  /** Only lines since this time, in milliseconds since the epoch. */
  since?: number | undefined;
  /** Prefixes each line with its RFC 3339 time with nanoseconds and a blank. */
  timestamps?: boolean | undefined;
  /** Ends after this many bytes, also within a line; timestamps count. */
  limitBytes?: number | undefined;
  stream?: "stdout" | "stderr" | undefined;
  signal?: AbortSignal | undefined;
}

export interface ExecRequest {
  containerId: string;
  command: string[];
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  /** stdout and stderr are one, as `stdout`. */
  tty: boolean;
}

export interface AttachRequest extends Omit<ExecRequest, "command"> {}

/** A running exec or attach. Streams that were not requested are absent; the caller must read the others. */
export interface Session {
  /** Ending it is end-of-file to the process. */
  stdin?: Writable | undefined;
  stdout?: Readable | undefined;
  stderr?: Readable | undefined;
  /** Sets the terminal's size; without a tty it has no effect. */
  resize(size: { width: number; height: number }): void;
  /** Resolves when the process has ended and its output has been passed on; rejects when the session breaks. */
  done: Promise<{ exitCode: number }>;
  /** Closes the session. The process of an exec may go on. */
  close(): void;
}

export interface CommandResult {
  exitCode: number;
  stdout: Uint8Array;
  stderr: Uint8Array;
}

/** A container's usage as cumulative counters and current values; absent where the driver has none. */
export interface ContainerStats {
  containerId: string;
  name: string;
  /** Milliseconds since the epoch when it was measured. */
  at: number;
  cpuNanoseconds?: number;
  memoryWorkingSetBytes?: number;
  memoryUsageBytes?: number;
  memoryRssBytes?: number;
  writableLayerBytes?: number;
  writableLayerInodes?: number;
}

export interface SandboxStats {
  sandboxId: string;
  name: string;
  namespace: string;
  uid: string;
  at: number;
  /** Of the whole pod, where the runtime measures it. */
  cpuNanoseconds?: number;
  memoryWorkingSetBytes?: number;
  network?: { interface: string; receivedBytes: number; sentBytes: number; receiveErrors: number; sendErrors: number };
  containers: ContainerStats[];
}

/** Logs, commands, streams and statistics of containers. Every call throws `notFound` for an unknown id. */
export interface StreamPort {
  /** The container's output in order. It includes rotated files that still exist. */
  logs(containerId: string, options: LogOptions): AsyncIterable<Uint8Array>;
  /** Starts a command in a running container with its streams connected. */
  exec(request: ExecRequest): Promise<Session>;
  /** Runs a command to its end; after `timeoutSeconds` it is killed and `timeout` thrown. 0 means no limit. */
  run(containerId: string, command: string[], timeoutSeconds: number): Promise<CommandResult>;
  /** The streams of the container's first process. */
  attach(request: AttachRequest): Promise<Session>;
  /**
   * Connects to a port on the pod's loopback address. A port without a listener causes a rejection or an error of the
   * stream.
   */
  forward(sandboxId: string, port: number): Promise<Duplex>;
  /** Connects to a port at the pod's address, for drivers whose pods have none that other programs reach. */
  dial?: (sandboxId: string, port: number) => Promise<Duplex>;
  stats(filter?: { uid?: string }): Promise<SandboxStats[]>;
}

export interface RuntimeCondition {
  type: "RuntimeReady" | "NetworkReady";
  status: boolean;
  reason: string;
  message: string;
}

export interface RuntimeInfo {
  /** The name in the node's status: `<name>://<version>`. */
  name: string;
  version: string;
  conditions: RuntimeCondition[];
  /** The form of a `cgroupParent`. */
  cgroupDriver: "cgroupfs" | "systemd" | "none";
  features: {
    /**
     * Containers are started one by one in a sandbox. False for drivers that start a whole pod at once: they need
     * `SandboxSpec.containers` and start all of them in `runSandbox`.
     */
    incremental: boolean;
    images: boolean;
    /** Each sandbox has its own address; otherwise pods have their host's. */
    podNetwork: boolean;
    exec: boolean;
    userNamespaces: boolean;
    recursiveReadOnlyMounts: boolean;
    /** Whether the image's own groups can be left out (`SecuritySpec.supplementalGroupsPolicy`). */
    strictGroups: boolean;
  };
  /** The images' file system, for disk pressure and garbage collection. */
  imageFilesystem?: { mountpoint: string; usedBytes: number; inodesUsed: number } | undefined;
}

/**
 * A container runtime. Drivers have no state that a restart of the agent loses: `pods.list()` returns everything that
 * runs. Parameters and results are plain data, independent of the driver.
 */
export interface Runtime {
  readonly pods: PodPort;
  readonly images: ImagePort;
  readonly streams: StreamPort;
  info(): Promise<RuntimeInfo>;
  /**
   * Uids of pods whose sandboxes or containers have changed, until the signal aborts; first one for each existing pod.
   * A change is a hint to call `pods.list()`. Changes may be merged, and delayed by the driver's relist interval; none
   * is lost.
   */
  changes(signal: AbortSignal): AsyncIterable<string>;
  /** Releases the runtime. Containers run on. */
  close(): Promise<void>;
}
