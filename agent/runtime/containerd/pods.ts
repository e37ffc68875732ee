import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type Container,
  type ContainerStart,
  isRuntimeError,
  type PodPort,
  RuntimeError,
  type Sandbox,
} from "#agent/runtime";
import { containerConfig, marks, resources, sandboxConfig } from "./convert.ts";
import type { Cri } from "./cri-client.ts";

interface Metadata {
  name: string;
  attempt: number;
  namespace: string;
  uid: string;
}
export interface SandboxItem {
  id: string;
  metadata: Metadata;
  state: "SANDBOX_READY" | "SANDBOX_NOTREADY";
  created_at: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
export interface ContainerItem {
  id: string;
  pod_sandbox_id: string;
  metadata: { name: string; attempt: number };
  state: "CONTAINER_CREATED" | "CONTAINER_RUNNING" | "CONTAINER_EXITED" | "CONTAINER_UNKNOWN";
  created_at: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
export interface ContainerStatus {
  state: ContainerItem["state"];
  started_at: number;
  finished_at: number;
  exit_code: number;
  reason: string;
  message: string;
  image_ref: string;
  log_path: string;
}

/** CRI counts time in nanoseconds. */
export const milliseconds = (nanoseconds: number): number => Math.round(nanoseconds / 1e6);

/** A stop may take its grace and what the runtime itself needs. */
const stopSlackMilliseconds = 120_000;

/** Pods over CRI. Details that cannot change any more (of the ended, and of the running) are asked for once. */
export function criPods(
  cri: Cri,
): PodPort & { raw(): Promise<{ sandboxes: SandboxItem[]; containers: ContainerItem[] }> } {
  const details = new Map<string, ContainerStatus>();
  const addresses = new Map<string, string[]>();
  const owned = { [marks.owner]: cri.owner };

  const listItems = async (labels: Record<string, string>) => {
    const filter = { filter: { label_selector: { ...owned, ...labels } } };
    const [pods, containers] = await Promise.all([
      cri.runtime<{ items: SandboxItem[] }>("ListPodSandbox", filter),
      cri.runtime<{ containers: ContainerItem[] }>("ListContainers", filter),
    ]);
    return { sandboxes: pods.items, containers: containers.containers };
  };

  const statusOf = async (item: ContainerItem): Promise<ContainerStatus | undefined> => {
    const known = details.get(item.id);
    if (known?.state === item.state) return known;
    try {
      const { status } = await cri.runtime<{ status: ContainerStatus }>("ContainerStatus", { container_id: item.id });
      details.set(item.id, status);
      return status;
    } catch (error) {
      // Removed since it was listed.
      if (isRuntimeError(error, "notFound")) return undefined;
      throw error;
    }
  };

  const ipsOf = async (item: SandboxItem): Promise<string[]> => {
    if (item.state !== "SANDBOX_READY") return [];
    const known = addresses.get(item.id);
    if (known) return known;
    try {
      const { status } = await cri.runtime<{
        status: { network: { ip: string; additional_ips: { ip: string }[] } | null };
      }>("PodSandboxStatus", { pod_sandbox_id: item.id });
      const all = [status.network?.ip ?? "", ...(status.network?.additional_ips ?? []).map(({ ip }) => ip)];
      const ips = all.filter((ip) => ip !== "");
      addresses.set(item.id, ips);
      return ips;
    } catch (error) {
      if (isRuntimeError(error, "notFound")) return [];
      throw error;
    }
  };

  const list = async (filter: { uid?: string } = {}): Promise<Sandbox[]> => {
    const { sandboxes, containers } = await listItems(filter.uid === undefined ? {} : { [marks.podUid]: filter.uid });
    if (filter.uid === undefined) {
      const alive = new Set([...sandboxes, ...containers].map(({ id }) => id));
      for (const known of [details, addresses]) for (const id of known.keys()) if (!alive.has(id)) known.delete(id);
    }
    const views = await Promise.all(containers.map(async (item) => containerView(item, await statusOf(item))));
    const inSandbox = new Map<string, Container[]>();
    for (const view of views) {
      const others = inSandbox.get(view.sandboxId);
      if (others) others.push(view);
      else inSandbox.set(view.sandboxId, [view]);
    }
    const result = await Promise.all(
      sandboxes.map(async (item): Promise<Sandbox> => {
        const { name, namespace, uid, attempt } = item.metadata;
        return {
          id: item.id,
          name,
          namespace,
          uid,
          attempt,
          state: item.state === "SANDBOX_READY" ? "ready" : "notReady",
          createdAt: milliseconds(item.created_at),
          ips: await ipsOf(item),
          labels: item.labels,
          annotations: item.annotations,
          containers: (inSandbox.get(item.id) ?? []).sort((a, b) => a.createdAt - b.createdAt || a.attempt - b.attempt),
        };
      }),
    );
    return result.sort((a, b) => a.createdAt - b.createdAt || a.attempt - b.attempt);
  };

  /** Ending what is gone already succeeds. */
  const unlessGone = async (ending: Promise<unknown>): Promise<void> => {
    try {
      await ending;
    } catch (error) {
      if (!isRuntimeError(error, "notFound")) throw error;
    }
  };
  const stopSandbox = (id: string): Promise<void> => unlessGone(cri.runtime("StopPodSandbox", { pod_sandbox_id: id }));

  const create = async (start: ContainerStart): Promise<string> => {
    const { sandboxId, sandbox, container } = start;
    const folder = dirname(join(sandbox.logDirectory, container.logPath));
    if (sandbox.logDirectory !== "") await mkdir(folder, { recursive: true, mode: 0o755 });
    const { container_id } = await cri.runtime<{ container_id: string }>(
      "CreateContainer",
      {
        pod_sandbox_id: sandboxId,
        config: containerConfig(start, cri.owner),
        sandbox_config: sandboxConfig(sandbox, cri.owner),
      },
      { otherwise: "create" },
    );
    return container_id;
  };

  return {
    list,
    raw: () => listItems({}),

    runSandbox: async (spec) => {
      const find = async (): Promise<Sandbox | undefined> =>
        (await list({ uid: spec.uid })).find((sandbox) => sandbox.attempt === spec.attempt);
      const there = await find();
      if (there?.state === "ready") return there;
      // One that never became ready holds the name; what is left of it goes.
      if (there && there.containers.length === 0) await cri.runtime("RemovePodSandbox", { pod_sandbox_id: there.id });
      else if (there)
        throw new RuntimeError("failed", `sandbox ${there.id} of attempt ${spec.attempt} has been stopped`);
      const config = sandboxConfig(spec, cri.owner);
      if (spec.logDirectory !== "") await mkdir(spec.logDirectory, { recursive: true, mode: 0o755 });
      await cri.runtime(
        "RunPodSandbox",
        { config, runtime_handler: spec.handler },
        { timeoutMilliseconds: 240_000, otherwise: "network" },
      );
      const made = await find();
      if (!made)
        throw new RuntimeError("failed", `sandbox of pod ${spec.namespace}/${spec.name} vanished at its start`);
      return made;
    },
    stopSandbox,
    removeSandbox: async (id) => {
      // A removal kills without asking the containers' own records; stopping first tears the network down too.
      await stopSandbox(id);
      await unlessGone(cri.runtime("RemovePodSandbox", { pod_sandbox_id: id }));
    },

    startContainer: async (start) => {
      const { containers } = await cri.runtime<{ containers: ContainerItem[] }>("ListContainers", {
        filter: { pod_sandbox_id: start.sandboxId, label_selector: { [marks.containerName]: start.container.name } },
      });
      const there = containers.find(({ metadata }) => metadata.attempt === start.container.attempt);
      if (there && there.state !== "CONTAINER_CREATED") return there.id;
      const id = there?.id ?? (await create(start));
      await cri.runtime("StartContainer", { container_id: id }, { otherwise: "start" });
      return id;
    },
    stopContainer: (id, graceSeconds) =>
      unlessGone(
        cri.runtime(
          "StopContainer",
          { container_id: id, timeout: graceSeconds },
          { timeoutMilliseconds: graceSeconds * 1000 + stopSlackMilliseconds },
        ),
      ),
    removeContainer: (id) => unlessGone(cri.runtime("RemoveContainer", { container_id: id })),
    resizeContainer: async (id, spec) => {
      await cri.runtime("UpdateContainerResources", { container_id: id, linux: resources(spec) });
    },
  };
}

const states = {
  CONTAINER_CREATED: "created",
  CONTAINER_RUNNING: "running",
  CONTAINER_EXITED: "exited",
  CONTAINER_UNKNOWN: "unknown",
} as const;

function containerView(item: ContainerItem, status: ContainerStatus | undefined): Container {
  const state = states[status?.state ?? item.state];
  return {
    id: item.id,
    sandboxId: item.pod_sandbox_id,
    name: item.metadata.name,
    attempt: item.metadata.attempt,
    state,
    createdAt: milliseconds(item.created_at),
    ...(status?.started_at ? { startedAt: milliseconds(status.started_at) } : {}),
    ...(status?.finished_at ? { finishedAt: milliseconds(status.finished_at) } : {}),
    ...(status && state === "exited" ? { exitCode: status.exit_code } : {}),
    ...(status?.reason ? { reason: status.reason } : {}),
    ...(status?.message ? { message: status.message } : {}),
    image: item.annotations[marks.image] ?? "",
    imageId: status?.image_ref ?? "",
    ...(status?.log_path ? { logPath: status.log_path } : {}),
    labels: item.labels,
    annotations: item.annotations,
  };
}
