import type { ResourceSpec, Container as Running, Runtime } from "#agent/runtime";
import type { Container, Pod } from "#api";
import { type Log, messageOf } from "#base";
import { resourcesOf } from "./qos.ts";

/** What a container was made with, kept with it: an agent that was restarted must know. */
export const resourcesAnnotation = "skiff.dev/resources";

interface Amounts {
  cpu: string;
  memory: string;
}

const amountsOf = ({ cpuShares = 0, cpuQuota = 0, memoryBytes = 0 }: ResourceSpec): Amounts => ({
  cpu: `${cpuShares}/${cpuQuota}`,
  memory: String(memoryBytes),
});

/** Amounts as the annotation spells them. */
export const resourcesText = (spec: ResourceSpec): string => JSON.stringify(amountsOf(spec));

/** In-place changes of cpu and memory of running containers. */
export class Resizing {
  readonly #runtime: Runtime;
  readonly #log: Log;
  readonly #memoryCapacity: number;
  readonly #applied = new Map<string, string>();

  constructor(runtime: Runtime, log: Log, memoryCapacity: number) {
    this.#runtime = runtime;
    this.#log = log;
    this.#memoryCapacity = memoryCapacity;
  }

  #changed(pod: Pod, spec: Container, running: Running): { wanted: ResourceSpec; names: (keyof Amounts)[] } {
    const wanted = resourcesOf(pod, spec, this.#memoryCapacity);
    const text = this.#applied.get(running.id) ?? running.annotations[resourcesAnnotation];
    if (text === undefined) return { wanted, names: [] };
    const now = JSON.parse(text) as Amounts;
    const next = amountsOf(wanted);
    return { wanted, names: (["cpu", "memory"] as const).filter((name) => now[name] !== next[name]) };
  }

  /** Whether the container's resize policy wants a restart for what has changed. */
  needsRestart(pod: Pod, spec: Container, running: Running): boolean {
    const { names } = this.#changed(pod, spec, running);
    return names.some((name) =>
      (spec.resizePolicy ?? []).some(
        ({ resourceName, restartPolicy }) => resourceName === name && restartPolicy === "RestartContainer",
      ),
    );
  }

  /** Gives running containers what the pod says now. What fails is tried again at the next look. */
  async follow(pod: Pod, containers: { spec: Container; running: Running }[]): Promise<void> {
    const alive = new Set(containers.map(({ running }) => running.id));
    for (const id of this.#applied.keys()) if (!alive.has(id)) this.#applied.delete(id);
    for (const { spec, running } of containers) {
      const { wanted, names } = this.#changed(pod, spec, running);
      if (names.length === 0) continue;
      try {
        await this.#runtime.pods.resizeContainer(running.id, wanted);
        this.#applied.set(running.id, resourcesText(wanted));
      } catch (error) {
        const fields = { pod: pod.metadata.name, container: spec.name, error: messageOf(error) };
        this.#log.warn("a container could not be resized", fields);
      }
    }
  }
}
