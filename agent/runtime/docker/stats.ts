import { readFile } from "node:fs/promises";
import { type ContainerStats, ignoreMissing, type Sandbox, type SandboxStats } from "#agent/runtime";
import type { Clock } from "#base";
import type { Engine } from "./engine.ts";
import type { Details, Item } from "./items.ts";

interface EngineStats {
  read: string;
  cpu_stats: { cpu_usage: { total_usage: number } };
  memory_stats: { usage?: number; stats?: Record<string, number> };
}

/** Writable layers are measured by walking through them: not more often than this. */
const layersMilliseconds = 60_000;

/** What pods use, by the engine's measurements and by the kernel's counters of the sandbox's interface. */
export class DockerStats {
  readonly #engine: Engine;
  readonly #list: (filter: { uid?: string }) => Promise<Sandbox[]>;
  readonly #clock: Clock;
  #layers: { at: number; sizes: Promise<Map<string, number>> } | undefined;

  constructor(engine: Engine, clock: Clock, list: (filter: { uid?: string }) => Promise<Sandbox[]>) {
    this.#engine = engine;
    this.#clock = clock;
    this.#list = list;
  }

  async read(filter: { uid?: string } = {}): Promise<SandboxStats[]> {
    const sandboxes = (await this.#list(filter)).filter(({ state }) => state === "ready");
    const layers = await this.#writableLayers();
    return Promise.all(
      sandboxes.map(async ({ id, name, namespace, uid, containers, ips }): Promise<SandboxStats> => {
        const running = containers.filter(({ state }) => state === "running");
        const all = await Promise.all(running.map((one) => this.#containerStats(one.id, one.name, layers)));
        const network = ips.length === 0 ? undefined : await this.#networkOf(id);
        return {
          ...{ sandboxId: id, name, namespace, uid, at: this.#clock.now() },
          ...(network ? { network } : {}),
          containers: all.filter((one) => one !== undefined),
        };
      }),
    );
  }

  async #containerStats(id: string, name: string, layers: Map<string, number>): Promise<ContainerStats | undefined> {
    const query = { stream: false, "one-shot": true };
    const stats = await ignoreMissing(this.#engine.json<EngineStats>("GET", `/containers/${id}/stats`, { query }));
    if (!stats) return undefined;
    const { usage, stats: details = {} } = stats.memory_stats;
    // cgroup v1 has its own names for the values of the whole tree.
    const inactive = details["total_inactive_file"] ?? details["inactive_file"] ?? 0;
    const rss = details["total_rss"] ?? details["anon"];
    const layer = layers.get(id);
    return {
      containerId: id,
      name,
      at: Date.parse(stats.read) || this.#clock.now(),
      cpuNanoseconds: stats.cpu_stats.cpu_usage.total_usage,
      ...(usage === undefined ? {} : { memoryUsageBytes: usage, memoryWorkingSetBytes: Math.max(0, usage - inactive) }),
      ...(rss === undefined ? {} : { memoryRssBytes: rss }),
      ...(layer === undefined ? {} : { writableLayerBytes: layer }),
    };
  }

  #writableLayers(): Promise<Map<string, number>> {
    const now = this.#clock.now();
    if (!this.#layers || now - this.#layers.at > layersMilliseconds) {
      const items = this.#engine.json<Item[]>("GET", "/containers/json", { query: { size: true } });
      const sizes = items.then(
        (list) => new Map(list.map(({ Id, SizeRw = 0 }) => [Id, SizeRw])),
        () => new Map<string, number>(),
      );
      this.#layers = { at: now, sizes };
    }
    return this.#layers.sizes;
  }

  async #networkOf(sandboxId: string): Promise<SandboxStats["network"]> {
    const details = await ignoreMissing(this.#engine.json<Details>("GET", `/containers/${sandboxId}/json`));
    if (!details?.State.Running) return undefined;
    const text = await readFile(`/proc/${details.State.Pid}/net/dev`, "utf8").catch(() => "");
    const line = text.split("\n").find((one) => one.trim().startsWith("eth0:"));
    const counters = (line?.split(":")[1] ?? "").trim().split(/\s+/).map(Number);
    const [receivedBytes = 0, , receiveErrors = 0, , , , , , sentBytes = 0, , sendErrors = 0] = counters;
    return line === undefined ? undefined : { interface: "eth0", receivedBytes, sentBytes, receiveErrors, sendErrors };
  }
}
