import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type Container,
  type ContainerSpec,
  type ContainerStart,
  ignoreMissing,
  type PodPort,
  RuntimeError,
  type Sandbox,
  type SandboxSpec,
} from "#agent/runtime";
import type { CniNetwork } from "#agent/runtime/cni";
import { containerBody, containerName, limits, refuseUnsupported, sandboxBody, sandboxName } from "./convert.ts";
import { type Engine, EngineError } from "./engine.ts";
import type { DockerImages } from "./images.ts";
import { containerView, type Details, failedToStart, type Item, isRunning, marks, recordOf } from "./items.ts";
import type { LogFiles } from "./log-files.ts";

export interface PodsOptions {
  engine: Engine;
  owner: string;
  /** The folder of the sandboxes' files. */
  folder: string;
  network: CniNetwork;
  images: DockerImages;
  logs: LogFiles;
  mayLowerOomScore: boolean;
}

/** A stop may use its grace period and the time that the engine itself needs. */
const stopSlackMilliseconds = 120_000;

/**
 * Pods by the Engine API. A sandbox is created, started, and attached to the network, in this order; it is ready once
 * the attachment is stored, so that one that a crash left halfway is notReady and is created again. It is removed after
 * its containers, and its attachment before it ends.
 */
export class DockerPods implements PodPort {
  readonly #options: PodsOptions;
  readonly #engine: Engine;
  /** Details by container, with the state that the list had: they change with it alone. */
  readonly #details = new Map<string, { state: string; details: Details }>();

  constructor(options: PodsOptions) {
    this.#options = options;
    this.#engine = options.engine;
  }

  async runSandbox(spec: SandboxSpec): Promise<Sandbox> {
    refuseUnsupported(spec);
    const present = await this.#sandboxOf(spec);
    if (present?.state === "ready") return present;
    if (present && present.containers.length > 0) {
      throw new RuntimeError("failed", `sandbox ${present.id} of attempt ${spec.attempt} has been stopped`);
    }
    if (present) await this.removeSandbox(present.id);
    const { owner, images, network, mayLowerOomScore } = this.#options;
    const sandboxImage = await images.sandboxImage();
    if (spec.logDirectory !== "") await mkdir(spec.logDirectory, { recursive: true, mode: 0o755 });
    const around = { owner, engine: await this.#engine.version(), sandboxImage, mayLowerOomScore };
    const id = await this.#create(sandboxName(spec), await sandboxBody(spec, around), "failed");
    try {
      await this.#writeDns(id, spec);
      await this.#engine.json("POST", `/containers/${id}/start`);
      if (!spec.host.network) await network.attach(id, await this.#namespaceOf(id), spec.ports);
    } catch (error) {
      await this.removeSandbox(id).catch(() => {});
      throw error;
    }
    const created = await this.#sandboxOf(spec);
    if (created) return created;
    throw new RuntimeError("failed", `sandbox of pod ${spec.namespace}/${spec.name} vanished at its start`);
  }

  async stopSandbox(id: string): Promise<void> {
    const containers = await this.#itemsOf({ [marks.sandboxId]: id });
    await Promise.all(containers.filter(({ State }) => isRunning(State)).map(({ Id }) => this.stopContainer(Id, 0)));
    const details = await this.#find(id);
    if (details && !recordOf(details.Config).hostNetwork) {
      await this.#options.network.detach(id, details.State.Running ? namespaceIn(details) : "");
    }
    if (details) await this.stopContainer(id, 0);
  }

  async removeSandbox(id: string): Promise<void> {
    await this.stopSandbox(id);
    for (const { Id } of await this.#itemsOf({ [marks.sandboxId]: id })) await this.removeContainer(Id);
    await this.#remove(id);
    await rm(this.#folderOf(id), { recursive: true, force: true });
  }

  async startContainer(start: ContainerStart): Promise<string> {
    const name = containerName(start);
    const present = await this.#find(name);
    if (present && (present.State.Status !== "created" || failedToStart(present))) return present.Id;
    const id = present?.Id ?? (await this.#createContainer(name, start));
    await this.#engine.json("POST", `/containers/${id}/start`, { otherwise: "start" }).catch((error: unknown) => {
      // A missing program is a 404 of Docker.
      if (error instanceof EngineError) throw new RuntimeError("start", error.message, { cause: error });
      throw error;
    });
    void this.#options.logs.follow(id);
    return id;
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    const timeout = graceSeconds * 1000 + stopSlackMilliseconds;
    const details = await this.#find(id);
    if (!details || !isRunning(details.State.Status)) return;
    const end = graceSeconds > 0 ? { path: "stop", query: { t: graceSeconds } } : { path: "kill", query: {} };
    try {
      await this.#engine.json("POST", `/containers/${id}/${end.path}`, { query: end.query, timeout });
    } catch (error) {
      // The container may have ended on its own before.
      const now = await this.#find(id);
      if (!now) return;
      if (isRunning(now.State.Status)) throw error;
    }
    await ignoreMissing(this.#engine.json("POST", `/containers/${id}/wait`, { timeout }));
  }

  async removeContainer(id: string): Promise<void> {
    await this.stopContainer(id, 0);
    await this.#options.logs.drained(id);
    await this.#remove(id);
  }

  async resizeContainer(id: string, resources: ContainerSpec["resources"]): Promise<void> {
    const { OomScoreAdj: _, ...body } = limits(resources, this.#options) as Record<string, unknown>;
    await this.#engine.json("POST", `/containers/${id}/update`, { body });
  }

  async list(filter: { uid?: string } = {}): Promise<Sandbox[]> {
    const items = await this.#itemsOf(filter.uid === undefined ? {} : { [marks.podUid]: filter.uid });
    const containers = await Promise.all(
      items.filter(({ Labels }) => Labels[marks.type] === "container").map((item) => this.#viewOf(item)),
    );
    const inSandbox = Map.groupBy(containers, ({ sandboxId }) => sandboxId);
    const sandboxes = await Promise.all(
      items
        .filter(({ Labels }) => Labels[marks.type] === "podsandbox")
        .map((item) => this.#sandboxView(item, inSandbox)),
    );
    if (filter.uid === undefined) this.#forgetAllBut(items);
    return [...sandboxes, ...orphans(items, sandboxes, inSandbox)].sort(byAge);
  }

  /** The sandboxes and containers of this owner with the state of each, by the pod's uid. */
  async states(): Promise<Map<string, string>> {
    const parts = new Map<string, string[]>();
    for (const { Id, State, Labels } of await this.#itemsOf({})) {
      const uid = Labels[marks.podUid] ?? "";
      parts.set(uid, [...(parts.get(uid) ?? []), `${Id} ${State}`]);
    }
    return new Map([...parts].map(([uid, states]) => [uid, states.sort().join("\n")]));
  }

  /** Frees what a crash or another program left: attachments and files of sandboxes that no longer exist. */
  async removeLeftovers(): Promise<void> {
    const items = await this.#itemsOf({});
    const known = new Set(items.map(({ Id }) => Id));
    for (const id of await this.#options.network.attached()) {
      if (!known.has(id)) await this.#options.network.detach(id, "");
    }
    for (const item of items) {
      if (item.Labels[marks.type] === "container") void this.#options.logs.follow(item.Id);
    }
  }

  async #sandboxOf({ uid, attempt }: SandboxSpec): Promise<Sandbox | undefined> {
    return (await this.list({ uid })).find((sandbox) => sandbox.attempt === attempt);
  }

  async #itemsOf(labels: Record<string, string>): Promise<Item[]> {
    const wanted = Object.entries({ [marks.owner]: this.#options.owner, ...labels });
    const filters = JSON.stringify({ label: wanted.map(([name, value]) => `${name}=${value}`) });
    return this.#engine.json<Item[]>("GET", "/containers/json", { query: { all: true, filters } });
  }

  #find(idOrName: string): Promise<Details | undefined> {
    return ignoreMissing(this.#engine.json<Details>("GET", `/containers/${idOrName}/json`));
  }

  /** Creates a container; one of the same name, which an answer that was lost has created, is used. */
  async #create(name: string, body: object, otherwise: "create" | "failed"): Promise<string> {
    try {
      const { Id } = await this.#engine.json<{ Id: string }>("POST", "/containers/create", {
        query: { name },
        body,
        otherwise,
      });
      return Id;
    } catch (error) {
      const present = error instanceof EngineError && error.status !== 404 ? await this.#find(name) : undefined;
      if (present) return present.Id;
      throw error instanceof EngineError ? new RuntimeError(otherwise, error.message, { cause: error }) : error;
    }
  }

  async #createContainer(name: string, start: ContainerStart): Promise<string> {
    const { sandbox, container, sandboxId } = start;
    const folder = dirname(join(sandbox.logDirectory, container.logPath));
    if (sandbox.logDirectory !== "") await mkdir(folder, { recursive: true, mode: 0o755 });
    // As for the CRI: a missing source becomes a folder.
    for (const { hostPath } of container.mounts) {
      await mkdir(hostPath, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw new RuntimeError("create", `mount ${hostPath}: ${error.message}`);
      });
    }
    const body = await containerBody(start, {
      owner: this.#options.owner,
      engine: await this.#engine.version(),
      sandboxImage: "",
      mayLowerOomScore: this.#options.mayLowerOomScore,
      ...(sandbox.dns ? { resolvConf: await this.#writeDns(sandboxId, sandbox) } : {}),
    });
    return this.#create(name, body, "create");
  }

  /** The pod's resolv.conf. It is written again for each container, so that it exists after a crash. */
  async #writeDns(id: string, { dns }: SandboxSpec): Promise<string> {
    const path = join(this.#folderOf(id), "resolv.conf");
    if (!dns) return path;
    const lines = [
      ...(dns.searches.length > 0 ? [`search ${dns.searches.join(" ")}`] : []),
      ...dns.servers.map((server) => `nameserver ${server}`),
      ...(dns.options.length > 0 ? [`options ${dns.options.join(" ")}`] : []),
    ];
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await writeFile(path, `${lines.join("\n")}\n`, { mode: 0o644 });
    return path;
  }

  #folderOf(id: string): string {
    return join(this.#options.folder, "sandboxes", id);
  }

  async #namespaceOf(id: string): Promise<string> {
    const details = await this.#find(id);
    if (details?.State.Running) return namespaceIn(details);
    throw new RuntimeError("failed", `the sandbox ${id} has ended at its start`);
  }

  async #remove(id: string): Promise<void> {
    await ignoreMissing(this.#engine.json("DELETE", `/containers/${id}`, { query: { force: true, v: true } })).catch(
      (error: unknown) => {
        // Another removal of it is under way.
        if (!(error instanceof EngineError && error.status === 409)) throw error;
      },
    );
    this.#details.delete(id);
  }

  async #detailsOf(item: Item): Promise<Details | undefined> {
    const known = this.#details.get(item.Id);
    if (known?.state === item.State && item.State !== "created") return known.details;
    const details = await this.#find(item.Id);
    if (details && details.State.Status === item.State) this.#details.set(item.Id, { state: item.State, details });
    return details;
  }

  async #viewOf(item: Item): Promise<Container> {
    return containerView(item, await this.#detailsOf(item), await this.#options.images.referenceOf(item.ImageID));
  }

  async #sandboxView(item: Item, containers: Map<string, Container[]>): Promise<Sandbox> {
    const { labels, annotations, attempt, hostNetwork = false } = recordOf(item);
    const ips = hostNetwork ? [] : await this.#options.network.addresses(item.Id);
    const isReady = isRunning(item.State) && ips !== undefined;
    return {
      id: item.Id,
      ...identity(item),
      attempt,
      state: isReady ? "ready" : "notReady",
      createdAt: item.Created * 1000,
      ips: isReady ? ips : [],
      labels,
      annotations,
      containers: (containers.get(item.Id) ?? []).sort(byAge),
    };
  }

  #forgetAllBut(items: readonly Item[]): void {
    const listed = new Set(items.map(({ Id }) => Id));
    for (const id of this.#details.keys()) if (!listed.has(id)) this.#details.delete(id);
  }
}

const namespaceIn = ({ State }: Details): string => `/proc/${State.Pid}/ns/net`;

const identity = ({ Labels }: Item) => ({
  name: Labels[marks.podName] ?? "",
  namespace: Labels[marks.podNamespace] ?? "",
  uid: Labels[marks.podUid] ?? "",
});

/** Containers whose sandbox another program has removed, as a sandbox that is not ready: its removal removes them. */
function orphans(items: readonly Item[], sandboxes: Sandbox[], inSandbox: Map<string, Container[]>): Sandbox[] {
  const present = new Set(sandboxes.map(({ id }) => id));
  return [...inSandbox]
    .filter(([id]) => !present.has(id))
    .map(([id, containers]) => {
      const item = items.find(({ Labels }) => Labels[marks.sandboxId] === id)!;
      const { sandboxAttempt = 0 } = recordOf(item);
      const createdAt = item.Created * 1000;
      const empty = { ips: [], labels: {}, annotations: {} };
      return { id, ...identity(item), attempt: sandboxAttempt, state: "notReady", createdAt, ...empty, containers };
    });
}

const byAge = (a: { createdAt: number; attempt: number }, b: { createdAt: number; attempt: number }): number =>
  a.createdAt - b.createdAt || a.attempt - b.attempt;
