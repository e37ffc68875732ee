import type { ResourceSpec, Container as RuntimeContainer } from "#agent/runtime";
import type { Container, Pod } from "#api";
import { messageOf } from "#base";
import type { PodsContext } from "./context.ts";
import { resourcesOf } from "./qos.ts";

/** The resources that a container was created with, stored with it for a restarted agent. */
export const resourcesAnnotation = "skiff.dev/resources";

interface Amounts {
  cpu: string;
  memory: string;
}

const amountsOf = ({ cpuShares = 0, cpuQuota = 0, memoryBytes = 0 }: ResourceSpec): Amounts => ({
  cpu: `${cpuShares}/${cpuQuota}`,
  memory: String(memoryBytes),
});

/** The annotation's value. */
export const resourcesText = (spec: ResourceSpec): string => JSON.stringify(amountsOf(spec));

/** Changes cpu and memory of running containers in place. */
export class Resizer {
  readonly #context: PodsContext;
  readonly #applied = new Map<string, string>();

  constructor(context: PodsContext) {
    this.#context = context;
  }

  #changed(
    pod: Pod,
    spec: Container,
    running: RuntimeContainer,
  ): { requested: ResourceSpec; names: (keyof Amounts)[] } {
    const requested = resourcesOf(pod, spec, this.#context.node);
    const text = this.#applied.get(running.id) ?? running.annotations[resourcesAnnotation];
    if (text === undefined) return { requested, names: [] };
    const now = JSON.parse(text) as Amounts;
    const next = amountsOf(requested);
    return { requested, names: (["cpu", "memory"] as const).filter((name) => now[name] !== next[name]) };
  }

  /** Whether the container's resize policy requires a restart for the changed resources. */
  needsRestart(pod: Pod, spec: Container, running: RuntimeContainer): boolean {
    const { names } = this.#changed(pod, spec, running);
    return names.some((name) =>
      (spec.resizePolicy ?? []).some(
        ({ resourceName, restartPolicy }) => resourceName === name && restartPolicy === "RestartContainer",
      ),
    );
  }

  /** Applies the pod's resources to running containers. A change that fails is tried again at the next call. */
  async follow(pod: Pod, containers: { spec: Container; running: RuntimeContainer }[]): Promise<void> {
    const alive = new Set(containers.map(({ running }) => running.id));
    for (const id of this.#applied.keys()) if (!alive.has(id)) this.#applied.delete(id);
    for (const { spec, running } of containers) {
      const { requested, names } = this.#changed(pod, spec, running);
      if (names.length === 0) continue;
      try {
        await this.#context.runtime.pods.resizeContainer(running.id, requested);
        this.#applied.set(running.id, resourcesText(requested));
      } catch (error) {
        const fields = { pod: pod.metadata.name, container: spec.name, error: messageOf(error) };
        this.#context.log.warn("a container could not be resized", fields);
      }
    }
  }
}
