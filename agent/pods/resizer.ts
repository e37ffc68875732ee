import type { ResourceSpec, Container as RuntimeContainer } from "#agent/runtime";
import type { Container, Pod, ResourceRequirements } from "#api";
import { memoryBytes, milliCpu, podLimits, podRequests } from "#kubelet";
import type { PodsContext } from "./context.ts";
import { cpuPeriod, podResources, resourcesOf } from "./qos.ts";

/** The resources that a container was created with, stored with it for a restarted agent. */
export const resourcesAnnotation = "skiff.dev/resources";

type Name = "cpu" | "memory";
const names = ["memory", "cpu"] as const;

/** A running container with its definition, whose resources are those that are granted. */
export interface ResizedContainer {
  spec: Container;
  running: RuntimeContainer;
}

/** Cpu and memory that are in effect for a container: its own, and the pod's limits where it has none. */
const effective = ({ spec }: Pod, { resources }: Pick<Container, "resources">): ResourceRequirements => ({
  requests: pickResources(resources?.requests),
  limits: { ...pickResources(spec?.resources?.limits), ...pickResources(resources?.limits) },
});

const pickResources = (from: Readonly<Record<string, string>> | undefined): Record<string, string> =>
  Object.fromEntries(names.flatMap((name) => (from?.[name] === undefined ? [] : [[name, from[name]]])));

/** The annotation's value. */
export const resourcesText = (pod: Pod, container: Container): string => JSON.stringify(effective(pod, container));

const amountOf = (name: Name, amounts: Readonly<Record<string, string>> | undefined): number =>
  name === "cpu" ? milliCpu(amounts) : memoryBytes(amounts);

const differs = (name: Name, a: ResourceRequirements, b: ResourceRequirements): boolean =>
  amountOf(name, a.requests) !== amountOf(name, b.requests) || amountOf(name, a.limits) !== amountOf(name, b.limits);

interface Change extends ResizedContainer {
  now: ResourceRequirements;
  next: ResourceRequirements;
}

/** Changes cpu and memory of one pod's containers and of its cgroup in place (upstream's doPodResizeAction). */
export class Resizer {
  readonly #context: PodsContext;
  /** By the ids of containers that were resized by this process. */
  readonly #applied = new Map<string, ResourceRequirements>();
  /** The limits of the pod's cgroup, once they are known. */
  #pod: ResourceSpec | undefined;

  constructor(context: PodsContext) {
    this.#context = context;
  }

  /** Cpu and memory that are in effect for a running container; undefined for one of an earlier version. */
  appliedTo(running: RuntimeContainer): ResourceRequirements | undefined {
    const known = this.#applied.get(running.id);
    if (known) return known;
    const parsed = JSON.parse(running.annotations[resourcesAnnotation] ?? "{}") as ResourceRequirements;
    return parsed.requests && parsed.limits ? parsed : undefined;
  }

  /** Whether the container's resize policy requires a restart for the changed resources. */
  needsRestart(pod: Pod, spec: Container, running: RuntimeContainer): boolean {
    const now = this.appliedTo(running);
    if (!now) return false;
    const next = effective(pod, spec);
    return names.some((name) => restartsFor(spec, name) && differs(name, now, next));
  }

  /** Whether a running container or the pod's cgroup has other resources than those that are granted. */
  async inProgress(pod: Pod, live: readonly ResizedContainer[]): Promise<boolean> {
    if (this.#changes(pod, live).length > 0) return true;
    const { want, have } = await this.#podLimits(pod);
    return want.memoryBytes !== have.memoryBytes || want.cpuQuota !== have.cpuQuota;
  }

  /** Raises the limits of the pod's cgroup that a container which is started now may need. */
  async grow(pod: Pod): Promise<void> {
    const { want, have } = await this.#podLimits(pod);
    const grows = (limit: "memoryBytes" | "cpuQuota"): boolean =>
      want[limit] !== undefined && have[limit] !== undefined && want[limit] > have[limit];
    if (grows("memoryBytes")) await this.#setPod(pod, { memoryBytes: want.memoryBytes! });
    if (grows("cpuQuota")) await this.#setPod(pod, { cpuQuota: want.cpuQuota!, cpuPeriod });
  }

  /** What is in effect for the pod as a whole (convertToAPIPodLevelResourcesStatus). */
  podInEffect(pod: Pod): ResourceRequirements {
    const { spec = { containers: [] } } = pod;
    const requests = podRequests(spec);
    const limits = podLimits(spec);
    const want = podResources(pod, this.#context.node.isUnified);
    const have = { ...want, ...this.#pod };
    const cpu = have.cpuQuota === want.cpuQuota ? limits["cpu"] : `${Math.round((have.cpuQuota ?? 0) / 100)}m`;
    const memory = have.memoryBytes === want.memoryBytes ? limits["memory"] : String(have.memoryBytes);
    return {
      requests: pickResources(requests),
      limits: {
        ...(have.cpuQuota !== undefined && cpu !== undefined ? { cpu } : {}),
        ...(have.memoryBytes !== undefined && memory !== undefined ? { memory } : {}),
      },
    };
  }

  /**
   * Applies the granted resources: the pod's cgroup grows before its containers and shrinks after them. Throws when the
   * runtime or the kernel refuses; what was applied stays, and the next call continues.
   */
  async follow(pod: Pod, live: readonly ResizedContainer[]): Promise<void> {
    const ids = new Set(live.map(({ running }) => running.id));
    for (const id of this.#applied.keys()) if (!ids.has(id)) this.#applied.delete(id);
    const changes = this.#changes(pod, live).filter(
      ({ spec, now, next }) => !names.some((name) => restartsFor(spec, name) && differs(name, now, next)),
    );
    const { want, have } = await this.#podLimits(pod);
    if (changes.length === 0 && sameLimits(want, have)) return;
    await this.#checkUsage(pod, changes, { want, have });
    for (const name of names) await this.#resize(name, pod, { changes, want, have });
  }

  #changes(pod: Pod, live: readonly ResizedContainer[]): Change[] {
    return live.flatMap(({ spec, running }) => {
      const now = this.appliedTo(running);
      const next = effective(pod, spec);
      return now && names.some((name) => differs(name, now, next)) ? [{ spec, running, now, next }] : [];
    });
  }

  async #podLimits(pod: Pod): Promise<{ want: ResourceSpec; have: ResourceSpec }> {
    const { cgroups, node } = this.#context;
    const want = podResources(pod, node.isUnified);
    if (!cgroups) return { want, have: want };
    this.#pod ??= (await cgroups.read(pod)) ?? want;
    // A limit that is no longer requested stays, as upstream's do; cgroup v2 has weights in place of shares.
    const kept = { ...this.#pod, ...want };
    return { want: kept, have: { ...this.#pod, cpuShares: this.#pod.cpuShares ?? want.cpuShares ?? 2 } };
  }

  async #resize(
    name: Name,
    pod: Pod,
    { changes, want, have }: { changes: readonly Change[]; want: ResourceSpec; have: ResourceSpec },
  ): Promise<void> {
    const limit = name === "cpu" ? "cpuQuota" : "memoryBytes";
    const [next, now] = [want[limit] ?? Number.POSITIVE_INFINITY, have[limit] ?? Number.POSITIVE_INFINITY];
    const setLimit = async (): Promise<void> => {
      const unified = name === "memory" && want.unified ? { unified: want.unified } : {};
      const period = name === "cpu" ? { cpuPeriod } : {};
      await this.#setPod(pod, { [limit]: want[limit], ...period, ...unified });
    };
    if (next > now && want[limit] !== undefined) await setLimit();
    const shares = want.cpuShares ?? 2;
    const more = name === "cpu" && shares > (have.cpuShares ?? 2);
    if (more) await this.#setPod(pod, { cpuShares: shares });
    const own = changes.filter((change) => differs(name, change.now, change.next));
    // What shrinks makes room for what grows.
    own.sort((a, b) => delta(name, a) - delta(name, b));
    for (const change of own) await this.#resizeContainer(name, pod, change);
    if (name === "cpu" && !more && shares !== have.cpuShares) await this.#setPod(pod, { cpuShares: shares });
    if (next < now) await setLimit();
  }

  async #setPod(pod: Pod, limits: ResourceSpec): Promise<void> {
    await this.#context.cgroups?.set(pod, limits);
    this.#pod = { ...this.#pod, ...limits };
  }

  /** Sets one resource; the others stay as they are in effect. */
  async #resizeContainer(name: Name, pod: Pod, { spec, running, next }: Change): Promise<void> {
    const now = this.appliedTo(running) ?? next;
    const mixed = { requests: { ...now.requests }, limits: { ...now.limits } };
    for (const part of ["requests", "limits"] as const) {
      const amount = next[part]?.[name];
      if (amount === undefined) delete mixed[part][name];
      else mixed[part][name] = amount;
    }
    const { runtime, node } = this.#context;
    await runtime.pods.resizeContainer(running.id, resourcesOf(pod, { name: spec.name, resources: mixed }, node));
    this.#applied.set(running.id, mixed);
  }

  /** Throws when a memory limit would fall below what is in use: cgroup v2 would kill (validateMemoryResizeAction). */
  async #checkUsage(
    pod: Pod,
    changes: readonly Change[],
    { want, have }: { want: ResourceSpec; have: ResourceSpec },
  ): Promise<void> {
    const falls = (next: number, now: number): boolean => next !== 0 && (now === 0 || next < now);
    const podFalls = falls(want.memoryBytes ?? 0, have.memoryBytes ?? 0);
    const limits = new Map(
      changes
        .filter(({ now, next }) => falls(memoryBytes(next.limits), memoryBytes(now.limits)))
        .map(({ spec, next }) => [spec.name, memoryBytes(next.limits)]),
    );
    if (!podFalls && limits.size === 0) return;
    const measured = await this.#context.runtime.streams.stats({ uid: pod.metadata.uid ?? "" });
    const used = new Map<string, number>();
    for (const { name, memoryUsageBytes, memoryWorkingSetBytes } of measured.flatMap(({ containers }) => containers)) {
      used.set(name, memoryUsageBytes ?? memoryWorkingSetBytes ?? 0);
    }
    const errors: string[] = [];
    const whole = [...used.values()].reduce((sum, bytes) => sum + bytes, 0);
    if (podFalls && whole >= want.memoryBytes!) {
      errors.push(`attempting to set pod memory limit (${want.memoryBytes}) below current usage (${whole})`);
    }
    for (const [name, limit] of limits) {
      const bytes = used.get(name) ?? 0;
      if (bytes < limit) continue;
      errors.push(`attempting to set container "${name}" memory limit (${limit}) below current usage (${bytes})`);
    }
    if (errors.length === 0) return;
    const list = errors.length === 1 ? errors[0] : `[${errors.join(", ")}]`;
    throw new Error(`cannot decrease memory limits: ${list}`);
  }
}

const restartsFor = (spec: Container, name: Name): boolean =>
  (spec.resizePolicy ?? []).some(
    ({ resourceName, restartPolicy }) => resourceName === name && restartPolicy === "RestartContainer",
  );

const delta = (name: Name, { now, next }: Change): number => amountOf(name, next.limits) - amountOf(name, now.limits);

const sameLimits = (a: ResourceSpec, b: ResourceSpec): boolean =>
  a.memoryBytes === b.memoryBytes && a.cpuQuota === b.cpuQuota && a.cpuShares === b.cpuShares;
