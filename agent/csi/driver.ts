import { CallError, Channel, compileServices, status } from "#agent/grpc";
import { csi } from "./tables.ts";

/** How long a call to a driver may take, as for upstream's kubelet. */
export const callMilliseconds = 120_000;

export interface NodeInfo {
  /** The node's name in the storage system. */
  id: string;
  /** 0: any number. */
  maxVolumes: number;
  /** The node's labels, by the driver. */
  topology: Record<string, string>;
}

export interface VolumeUsage {
  available: number;
  total: number;
  used: number;
}

/** What the node can use a driver for, as CSI names it. */
export type Capability =
  | "STAGE_UNSTAGE_VOLUME"
  | "GET_VOLUME_STATS"
  | "EXPAND_VOLUME"
  | "SINGLE_NODE_MULTI_WRITER"
  | "VOLUME_MOUNT_GROUP";

/** The access modes of persistent volumes; volumes in a pod's spec are ReadWriteOnce. */
export type AccessMode = "ReadWriteOnce" | "ReadOnlyMany" | "ReadWriteMany" | "ReadWriteOncePod";

/** How a volume is used. */
export interface VolumeUse {
  id: string;
  accessMode: AccessMode;
  /** A device; absent: a file system. */
  isBlock?: boolean;
  fsType: string;
  mountOptions: readonly string[];
  /** Passed where the driver changes the group of files itself. */
  fsGroup?: number | undefined;
  secrets: Record<string, string>;
  context: Record<string, string>;
  publishContext?: Record<string, string>;
  /** Where the volume is staged; absent with drivers that do not stage volumes. */
  stagingPath?: string | undefined;
}

/** Where and how a volume is published. */
export interface Target {
  path: string;
  readOnly: boolean;
  /** Cancels the call. The driver may publish the volume nevertheless. */
  signal?: AbortSignal | undefined;
}

const method = compileServices(csi);

/** A driver's node service. Every call throws CallError, or the reason of its signal. */
export class Driver {
  readonly name: string;
  readonly endpoint: string;
  readonly #channel: Channel;
  readonly #timeoutMilliseconds: number;

  constructor(name: string, endpoint: string, timeoutMilliseconds = callMilliseconds) {
    this.name = name;
    this.endpoint = endpoint;
    this.#channel = new Channel(endpoint);
    this.#timeoutMilliseconds = timeoutMilliseconds;
  }

  close(): void {
    this.#channel.close();
  }

  async nodeInfo(): Promise<NodeInfo> {
    const answer = await this.#call<{
      node_id: string;
      max_volumes_per_node: number;
      accessible_topology: { segments: Record<string, string> } | null;
    }>("NodeGetInfo", {});
    return {
      id: answer.node_id,
      maxVolumes: answer.max_volumes_per_node,
      topology: answer.accessible_topology?.segments ?? {},
    };
  }

  /** Requested each time: a driver may be another one after its restart. */
  async capabilities(signal?: AbortSignal): Promise<ReadonlySet<Capability>> {
    const answer = await this.#call<{ capabilities: { rpc: { type: Capability } | null }[] }>(
      "NodeGetCapabilities",
      {},
      signal,
    );
    return new Set(answer.capabilities.flatMap(({ rpc }) => (rpc ? [rpc.type] : [])));
  }

  async stage(use: VolumeUse & { stagingPath: string }): Promise<void> {
    await this.#call("NodeStageVolume", {
      volume_id: use.id,
      publish_context: use.publishContext ?? {},
      staging_target_path: use.stagingPath,
      volume_capability: await this.#capabilityOf(use),
      secrets: use.secrets,
      volume_context: use.context,
    });
  }

  async unstage(id: string, stagingPath: string): Promise<void> {
    await this.#call("NodeUnstageVolume", { volume_id: id, staging_target_path: stagingPath });
  }

  async publish(use: VolumeUse, { path, readOnly, signal }: Target): Promise<void> {
    const request = {
      volume_id: use.id,
      publish_context: use.publishContext ?? {},
      ...(use.stagingPath === undefined ? {} : { staging_target_path: use.stagingPath }),
      target_path: path,
      volume_capability: await this.#capabilityOf(use, signal),
      readonly: readOnly,
      secrets: use.secrets,
      volume_context: use.context,
    };
    await this.#call("NodePublishVolume", request, signal);
  }

  async unpublish(id: string, path: string): Promise<void> {
    await this.#call("NodeUnpublishVolume", { volume_id: id, target_path: path });
  }

  /** Makes a volume use its new size. Resolves with the size in bytes. */
  async expand(use: VolumeUse, { path, bytes }: { path: string; bytes: number }): Promise<number> {
    const answer = await this.#call<{ capacity_bytes: number }>("NodeExpandVolume", {
      volume_id: use.id,
      volume_path: path,
      capacity_range: { required_bytes: bytes },
      ...(use.stagingPath === undefined ? {} : { staging_target_path: use.stagingPath }),
      volume_capability: await this.#capabilityOf(use),
      secrets: use.secrets,
    });
    return answer.capacity_bytes;
  }

  /** A volume's use; undefined where the driver does not measure it. */
  async usage(id: string, path: string): Promise<{ bytes?: VolumeUsage; inodes?: VolumeUsage } | undefined> {
    if (!(await this.capabilities()).has("GET_VOLUME_STATS")) return undefined;
    const { usage } = await this.#call<{ usage: (VolumeUsage & { unit: string })[] }>("NodeGetVolumeStats", {
      volume_id: id,
      volume_path: path,
    });
    const of = (wanted: string): VolumeUsage | undefined => {
      const found = usage.find(({ unit }) => unit === wanted);
      return found && { available: found.available, total: found.total, used: found.used };
    };
    const [bytes, inodes] = [of("BYTES"), of("INODES")];
    return { ...(bytes ? { bytes } : {}), ...(inodes ? { inodes } : {}) };
  }

  async #capabilityOf(use: VolumeUse, signal?: AbortSignal): Promise<object> {
    const distinct = (await this.capabilities(signal)).has("SINGLE_NODE_MULTI_WRITER");
    const access = { access_mode: { mode: modeOf(use.accessMode, distinct) } };
    if (use.isBlock) return { block: {}, ...access };
    return {
      mount: {
        fs_type: use.fsType,
        mount_flags: [...use.mountOptions],
        ...(use.fsGroup === undefined ? {} : { volume_mount_group: String(use.fsGroup) }),
      },
      ...access,
    };
  }

  #call<Response = unknown>(call: string, request: object, signal?: AbortSignal): Promise<Response> {
    const timeoutMilliseconds = this.#timeoutMilliseconds;
    return this.#channel.call<Response>(method("Node", call), request, { timeoutMilliseconds, signal });
  }
}

/** `distinct`: the driver knows the modes of volumes that one node uses apart. */
function modeOf(mode: AccessMode, distinct: boolean): string {
  if (mode === "ReadOnlyMany") return "MULTI_NODE_READER_ONLY";
  if (mode === "ReadWriteMany") return "MULTI_NODE_MULTI_WRITER";
  if (!distinct) return "SINGLE_NODE_WRITER";
  return mode === "ReadWriteOnce" ? "SINGLE_NODE_MULTI_WRITER" : "SINGLE_NODE_SINGLE_WRITER";
}

const open: ReadonlySet<status> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
]);

/** Whether the driver has done nothing and does nothing any more after this error (upstream's isFinalError). */
export const isFinal = (error: unknown): boolean => error instanceof CallError && !open.has(error.code);
