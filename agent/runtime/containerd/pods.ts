import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type Container,
  type ContainerSpec,
  type ContainerStart,
  ignoreMissing,
  type PodPort,
  type Sandbox,
  type SandboxSpec,
} from "#agent/runtime";
import { containerConfig, marks, resources, sandboxConfig } from "./convert.ts";
import type { Cri } from "./cri-client.ts";
import {
  type ContainerItem,
  type ContainerStatus,
  containerView,
  milliseconds,
  type SandboxItem,
  type SandboxStatus,
} from "./items.ts";

/** A stop may use its grace period and the time that the runtime itself needs. */
const stopSlackMilliseconds = 120_000;

/** The sandboxes and containers of one owner, as CRI lists them. */
export interface CriItems {
  sandboxes: SandboxItem[];
  containers: ContainerItem[];
}

/** Pods over CRI. Details that do not change (of exited and of running containers, and addresses) are read once. */
export class CriPods implements PodPort {
  readonly #cri: Cri;
  readonly #details = new Map<string, ContainerStatus>();
  readonly #addresses = new Map<string, string[]>();

  constructor(cri: Cri) {
    this.#cri = cri;
  }

  async runSandbox(spec: SandboxSpec): Promise<Sandbox> {
    const config = sandboxConfig(spec, this.#cri.owner);
    if (spec.logDirectory !== "") await mkdir(spec.logDirectory, { recursive: true, mode: 0o755 });
    try {
      const { pod_sandbox_id } = await this.#cri.runtime<{ pod_sandbox_id: string }>(
        "RunPodSandbox",
        { config, runtime_handler: spec.handler },
        { timeoutMilliseconds: 240_000, otherwise: "network" },
      );
      const { status } = await this.#sandboxStatus(pod_sandbox_id);
      return await this.#sandboxOf(status, [], status);
    } catch (error) {
      // An earlier call may have created it: then its name is taken.
      const all = await this.list({ uid: spec.uid });
      const present = all.find(({ attempt, state }) => attempt === spec.attempt && state === "ready");
      if (present) return present;
      throw error;
    }
  }

  async stopSandbox(id: string): Promise<void> {
    await ignoreMissing(this.#cri.runtime("StopPodSandbox", { pod_sandbox_id: id }));
  }

  async removeSandbox(id: string): Promise<void> {
    // A removal kills without asking the containers' own records; stopping first tears the network down too.
    await this.stopSandbox(id);
    await ignoreMissing(this.#cri.runtime("RemovePodSandbox", { pod_sandbox_id: id }));
  }

  async startContainer(start: ContainerStart): Promise<string> {
    let id: string;
    try {
      id = await this.#create(start);
    } catch (error) {
      // An earlier call may have created it: then its name is taken.
      const present = await this.#find(start);
      if (!present) throw error;
      if (present.state !== "CONTAINER_CREATED") return present.id;
      id = present.id;
    }
    await this.#cri.runtime("StartContainer", { container_id: id }, { otherwise: "start" });
    return id;
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    const request = { container_id: id, timeout: graceSeconds };
    const timeoutMilliseconds = graceSeconds * 1000 + stopSlackMilliseconds;
    await ignoreMissing(this.#cri.runtime("StopContainer", request, { timeoutMilliseconds }));
  }

  async removeContainer(id: string): Promise<void> {
    await ignoreMissing(this.#cri.runtime("RemoveContainer", { container_id: id }));
  }

  async resizeContainer(id: string, spec: ContainerSpec["resources"]): Promise<void> {
    await this.#cri.runtime("UpdateContainerResources", { container_id: id, linux: resources(spec) });
  }

  async list(filter: { uid?: string } = {}): Promise<Sandbox[]> {
    const items = await this.#listItems(filter.uid === undefined ? {} : { [marks.podUid]: filter.uid });
    if (filter.uid === undefined) this.#forgetAllBut(items);
    const views = await Promise.all(items.containers.map((item) => this.#containerOf(item)));
    const inSandbox = Map.groupBy(views, (view) => view.sandboxId);
    const sandboxes = await Promise.all(
      items.sandboxes.map((item) => this.#sandboxOf(item, inSandbox.get(item.id) ?? [])),
    );
    return sandboxes.sort(byAge);
  }

  /** What the runtime lists of this owner, without the details of each. */
  items(): Promise<CriItems> {
    return this.#listItems({});
  }

  async #listItems(labels: Record<string, string>): Promise<CriItems> {
    const filter = { filter: { label_selector: { [marks.owner]: this.#cri.owner, ...labels } } };
    const [pods, containers] = await Promise.all([
      this.#cri.runtime<{ items: SandboxItem[] }>("ListPodSandbox", filter),
      this.#cri.runtime<{ containers: ContainerItem[] }>("ListContainers", filter),
    ]);
    return { sandboxes: pods.items, containers: containers.containers };
  }

  #forgetAllBut({ sandboxes, containers }: CriItems): void {
    const listed = new Set([...sandboxes, ...containers].map(({ id }) => id));
    for (const known of [this.#details, this.#addresses]) {
      for (const id of known.keys()) if (!listed.has(id)) known.delete(id);
    }
  }

  async #containerOf(item: ContainerItem): Promise<Container> {
    return containerView(item, await this.#statusOf(item));
  }

  async #find({ sandboxId, container }: ContainerStart): Promise<ContainerItem | undefined> {
    const { containers } = await this.#cri.runtime<{ containers: ContainerItem[] }>("ListContainers", {
      filter: { pod_sandbox_id: sandboxId, label_selector: { [marks.containerName]: container.name } },
    });
    return containers.find(({ metadata }) => metadata.attempt === container.attempt);
  }

  async #sandboxOf(item: SandboxItem, containers: Container[], status?: SandboxStatus): Promise<Sandbox> {
    const { name, namespace, uid, attempt } = item.metadata;
    return {
      id: item.id,
      name,
      namespace,
      uid,
      attempt,
      state: item.state === "SANDBOX_READY" ? "ready" : "notReady",
      createdAt: milliseconds(item.created_at),
      ips: await this.#ipsOf(item, status),
      labels: item.labels,
      annotations: item.annotations,
      containers: containers.sort(byAge),
    };
  }

  /** Undefined when the container was removed after it had been listed. */
  async #statusOf(item: ContainerItem): Promise<ContainerStatus | undefined> {
    const known = this.#details.get(item.id);
    if (known?.state === item.state) return known;
    const answer = await ignoreMissing(
      this.#cri.runtime<{ status: ContainerStatus }>("ContainerStatus", { container_id: item.id }),
    );
    if (answer) this.#details.set(item.id, answer.status);
    return answer?.status;
  }

  #sandboxStatus(id: string): Promise<{ status: SandboxStatus }> {
    return this.#cri.runtime("PodSandboxStatus", { pod_sandbox_id: id });
  }

  async #ipsOf(item: SandboxItem, read?: SandboxStatus): Promise<string[]> {
    if (item.state !== "SANDBOX_READY") return [];
    const known = this.#addresses.get(item.id);
    if (known) return known;
    const status = read ?? (await ignoreMissing(this.#sandboxStatus(item.id)))?.status;
    if (!status) return [];
    const { network } = status;
    const all = [network?.ip ?? "", ...(network?.additional_ips ?? []).map(({ ip }) => ip)];
    const ips = all.filter((ip) => ip !== "");
    this.#addresses.set(item.id, ips);
    return ips;
  }

  async #create(start: ContainerStart): Promise<string> {
    const { sandboxId, sandbox, container } = start;
    const folder = dirname(join(sandbox.logDirectory, container.logPath));
    if (sandbox.logDirectory !== "") await mkdir(folder, { recursive: true, mode: 0o755 });
    const { container_id } = await this.#cri.runtime<{ container_id: string }>(
      "CreateContainer",
      {
        pod_sandbox_id: sandboxId,
        config: containerConfig(start, this.#cri.owner),
        sandbox_config: sandboxConfig(sandbox, this.#cri.owner),
      },
      { otherwise: "create" },
    );
    return container_id;
  }
}

const byAge = (a: { createdAt: number; attempt: number }, b: { createdAt: number; attempt: number }): number =>
  a.createdAt - b.createdAt || a.attempt - b.attempt;
