import type { Duplex, Readable, Writable } from "node:stream";
import type { ContainerSpec, SandboxSpec } from "./spec.ts";

/** A failure that the runtime itself reported, with the step it happened in. */
export class RuntimeError extends Error {
  /** What the caller may tell apart; everything else is `failed`. */
  readonly reason: RuntimeReason;
  constructor(reason: RuntimeReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RuntimeError";
    this.reason = reason;
  }
}

/**
 * - `notFound`: no such sandbox, container or image.
 * - `create`, `start`: the container could not be made, or was made and could not be started.
 * - `network`: the sandbox's network could not be set up.
 * - `unavailable`: the runtime itself did not answer; trying again later may help.
 * - `registry`: the registry could not be reached or refused; the message says which.
 * - `timeout`: the caller's time ran out.
 * - `unsupported`: this driver cannot do that, ever; the message names what.
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

/** What `reading` resolves with; undefined when it rejects with `notFound`. */
export async function ignoreMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isRuntimeError(error, "notFound")) return undefined;
    throw error;
  }
}

/** A pod's sandbox as the runtime knows it, with the containers in it, dead ones included. */
export interface Sandbox {
  id: string;
  name: string;
  namespace: string;
  uid: string;
  attempt: number;
  /** `notReady`: stopped, or fallen over; its network is gone. */
  state: "ready" | "notReady";
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** The pod's own addresses, the primary first; empty with host networking and where the driver has none. */
  ips: string[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  containers: Container[];
}

/** A container as the runtime knows it. Times are milliseconds since the epoch, absent where they do not apply. */
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
  /** The runtime's word for how it ended, such as `OOMKilled`, `Error`, `Completed`, `StartError`. */
  reason?: string;
  message?: string;
  /** As the caller asked for it. */
  image: string;
  /** What a pod's status shows as `imageID`. */
  imageId: string;
  logPath?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

/**
 * Sandboxes and the containers in them. Every call is idempotent: repeating it after a crash or a lost answer does
 * no harm, and ending what is already gone succeeds.
 */
export interface PodPort {
  /**
   * Makes the pod's sandbox, network included, and answers once it is ready. When one with the same uid and attempt
   * is there and ready already, that one is the answer.
   */
  runSandbox(spec: SandboxSpec): Promise<Sandbox>;
  /** Kills what runs in it and takes its network down. Containers stay listed and their logs readable. */
  stopSandbox(id: string): Promise<void>;
  /** Stops it where needed and forgets it together with its containers and their logs in memory. */
  removeSandbox(id: string): Promise<void>;
  /**
   * Makes a container and starts it. Resolves with its id once its process runs. When one with the same name and
   * attempt is there already, it is started unless it has run, and its id is the answer. Throws `create` or `start`;
   * after `start` the container may be listed as exited, with the reason. The image must be present.
   */
  startContainer(start: ContainerStart): Promise<string>;
  /**
   * Asks it to end (its stop signal), kills it after `graceSeconds`, and answers when it has ended. 0 kills at once.
   */
  stopContainer(id: string, graceSeconds: number): Promise<void>;
  /** Kills it where needed and forgets it; its log in memory is gone, a log file stays. */
  removeContainer(id: string): Promise<void>;
  /** New limits for a running container, at once. */
  resizeContainer(id: string, resources: ContainerSpec["resources"]): Promise<void>;
  /** All sandboxes of this node, or one pod's: those of the process before this one too, so that it adopts them. */
  list(filter?: { uid?: string }): Promise<Sandbox[]>;
}

export interface ContainerStart {
  sandboxId: string;
  /** The spec that the sandbox was made from: drivers keep no state of their own, and some need it again. */
  sandbox: SandboxSpec;
  container: ContainerSpec;
}

export interface Image {
  /** The runtime's own id for it. */
  id: string;
  /** `name:tag` and `name@digest` under which it is known. */
  tags: string[];
  digests: string[];
  size: number;
  /** The user that the image says to run as: a number where it is one, otherwise a name; absent means root. */
  user?: { uid: number } | { name: string };
  /** Never removed to make room. */
  pinned: boolean;
}

export interface RegistryCredentials {
  username?: string;
  password?: string;
  /** Instead of both: base64 of `username:password`. */
  auth?: string;
  identityToken?: string;
  registryToken?: string;
}

/** Images on the node. When to pull, and how often to try again, is the caller's business. */
export interface ImagePort {
  /** The image if it is there. */
  find(reference: string): Promise<Image | undefined>;
  /**
   * Pulls from the registry that the reference names, or from its mirror. Throws `registry` with the registry's own
   * words, `notFound` when it has no such image, `unsupported` when the driver has no images.
   */
  pull(reference: string, credentials?: RegistryCredentials, signal?: AbortSignal): Promise<Image>;
  list(): Promise<Image[]>;
  /** Forgets the image under all its names. One in use by a container may stay. */
  remove(reference: string): Promise<void>;
}

export interface LogOptions {
  /** Goes on until the container ends (and everything is read) or the signal aborts. */
  follow?: boolean;
  /** Only the last so many lines. */
  tailLines?: number;
  /** Only lines of this time (milliseconds) or later. */
  since?: number;
  /** Puts the line's RFC 3339 time with nanoseconds and a blank in front of each line. */
  timestamps?: boolean;
  /** Ends after so many bytes, in the middle of a line if need be; timestamps count. */
  limitBytes?: number;
  stream?: "stdout" | "stderr";
  signal?: AbortSignal;
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

/** A running exec or attach. Absent streams were not asked for. Whoever holds it must read what it asked for. */
export interface Session {
  /** Ending it is end-of-file to the process. */
  stdin?: Writable;
  stdout?: Readable;
  stderr?: Readable;
  /** The terminal's size; nothing happens without a tty. */
  resize(size: { width: number; height: number }): void;
  /** Resolves when the process has ended and its output was handed over; rejects when the session broke. */
  done: Promise<{ exitCode: number }>;
  /** Lets go of it. The process of an exec may go on. */
  close(): void;
}

export interface CommandResult {
  exitCode: number;
  stdout: Uint8Array;
  stderr: Uint8Array;
}

/** What containers use, as cumulative counters and current levels; absent where the driver does not know. */
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
  /** Of the pod as a whole, where the runtime counts it. */
  cpuNanoseconds?: number;
  memoryWorkingSetBytes?: number;
  network?: { interface: string; receivedBytes: number; sentBytes: number; receiveErrors: number; sendErrors: number };
  containers: ContainerStats[];
}

/** What goes in and out of containers. All of it throws `notFound` for an unknown id. */
export interface StreamPort {
  /** The container's output in order. Rotated files are part of it as far as they are kept. */
  logs(containerId: string, options: LogOptions): AsyncIterable<Uint8Array>;
  /** Starts a command in a running container with its streams connected. */
  exec(request: ExecRequest): Promise<Session>;
  /** Runs a command to its end; after `timeoutSeconds` it is killed and `timeout` thrown. 0 waits for ever. */
  run(containerId: string, command: string[], timeoutSeconds: number): Promise<CommandResult>;
  /** The streams of the container's first process. */
  attach(request: AttachRequest): Promise<Session>;
  /**
   * A connection to a port on the pod's loopback address. A port that nobody listens on shows as a rejection or as
   * the stream's error.
   */
  forward(sandboxId: string, port: number): Promise<Duplex>;
  stats(filter?: { uid?: string }): Promise<SandboxStats[]>;
}

export interface RuntimeCondition {
  type: "RuntimeReady" | "NetworkReady";
  status: boolean;
  reason: string;
  message: string;
}

export interface RuntimeInfo {
  /** As nodes show it: `<name>://<version>`. */
  name: string;
  version: string;
  conditions: RuntimeCondition[];
  /** How the driver wants a `cgroupParent` spelled. */
  cgroupDriver: "cgroupfs" | "systemd" | "none";
  features: {
    /**
     * Containers start one by one into a sandbox. False for drivers that take a pod as a whole: they need
     * `SandboxSpec.containers` and start all of them in `runSandbox`.
     */
    incremental: boolean;
    images: boolean;
    /** Sandboxes get addresses of their own; without, every pod has its host's. */
    podNetwork: boolean;
    exec: boolean;
    userNamespaces: boolean;
    recursiveReadOnlyMounts: boolean;
  };
  /** Where images lie, for disk pressure and garbage collection. */
  imageFilesystem?: { mountpoint: string; usedBytes: number; inodesUsed: number } | undefined;
}

/**
 * A container runtime. Drivers keep nothing that a restart of the agent would miss: what runs is found again by
 * `pods.list()`. Plain data goes in and out; nothing of a driver shows through.
 */
export interface Runtime {
  readonly pods: PodPort;
  readonly images: ImagePort;
  readonly streams: StreamPort;
  info(): Promise<RuntimeInfo>;
  /**
   * Uids of pods whose sandboxes or containers have changed, until the signal aborts; first one for each pod that is
   * there. Only a hint: the truth is `pods.list()`. Changes may be merged and may be late by the driver's relist
   * interval, none is lost.
   */
  changes(signal: AbortSignal): AsyncIterable<string>;
  /** Lets go of the runtime. Containers run on. */
  close(): Promise<void>;
}
