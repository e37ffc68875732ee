import type { PodDisk, PodSample } from "#agent/stats";
import { formatQuantity, type Pod, qosClassOf, quantityValue, toleratesTaint } from "#api";
import { isCritical } from "#kubelet";
import {
  amountOf,
  amountText,
  type Observations,
  type Pressure,
  resourceOf,
  type Signal,
  type Threshold,
} from "./thresholds.ts";

/** What a pod uses; absent members were not measured. */
export interface PodUsage {
  sample?: PodSample;
  disk?: PodDisk;
}

type UsageOf = (pod: Pod) => PodUsage;

/** Requests of the containers that run at once: regular ones and sidecars. */
export function requested({ spec }: Pod, resource: string): number {
  const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  const own = [...(spec?.containers ?? []), ...sidecars].map(({ resources }) => resources?.requests?.[resource] ?? "0");
  return own.reduce((sum, quantity) => sum + Number(quantityValue(quantity)), 0);
}

const memoryOf = ({ sample }: PodUsage): number => sample?.whole.usage.memory.workingSet ?? 0;
const processesOf = ({ sample }: PodUsage): number => sample?.whole.usage.threads ?? 0;
const storedOf = ({ disk }: PodUsage, signal: Signal): number =>
  (signal.endsWith("inodesFree") ? disk?.total.inodes : disk?.total.bytes) ?? 0;

/**
 * Pods in the order in which they are evicted for a signal: those that use more than they request before others, then
 * by rising priority, then by what they use above their requests (rankMemoryPressure, rankDiskPressureFunc and
 * rankPIDPressure in pkg/kubelet/eviction/helpers.go). Pods without a measurement come first.
 */
export function rank(pods: readonly Pod[], signal: Signal, usageOf: UsageOf): Pod[] {
  const above = (pod: Pod): number => {
    const usage = usageOf(pod);
    if (!usage.sample) return Number.POSITIVE_INFINITY;
    if (signal === "memory.available") return memoryOf(usage) - requested(pod, "memory");
    if (signal === "pid.available") return processesOf(usage);
    return storedOf(usage, signal) - (signal.endsWith("inodesFree") ? 0 : requested(pod, "ephemeral-storage"));
  };
  const entries = pods.map((pod) => ({ pod, above: above(pod), priority: pod.spec?.priority ?? 0 }));
  const exceeds = (entry: { above: number }): number => (signal !== "pid.available" && entry.above > 0 ? 0 : 1);
  entries.sort((a, b) => exceeds(a) - exceeds(b) || a.priority - b.priority || compare(b.above, a.above));
  return entries.map(({ pod }) => pod);
}

const compare = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : 1);

const bytesText = (bytes: number): string =>
  formatQuantity({ mantissa: BigInt(Math.trunc(bytes)), exponent: 0, format: "binary" });

/** Why a pod is evicted, in upstream's words (evictionMessage). */
export function evictionMessage(threshold: Threshold, observed: Observations, pod: Pod, usage: PodUsage): string {
  const { signal } = threshold;
  const resource = resourceOf(signal);
  const observation = observed[signal];
  const amounts = observation
    ? `Threshold quantity: ${amountText(signal, amountOf(threshold, observation))}, available: ${amountText(signal, observation.available)}. `
    : "";
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const exceeded = containers.flatMap(({ name, resources }) => {
    const used = containerUse(resource, name, usage);
    const request = resources?.requests?.[resource] ?? "0";
    if (used === undefined || used <= Number(quantityValue(request))) return [];
    return [
      `Container ${name} was using ${bytesText(used)}, request is ${request}, has larger consumption of ${resource}. `,
    ];
  });
  return `The node was low on resource: ${resource}. ${amounts}${exceeded.join("")}`;
}

function containerUse(resource: string, name: string, { sample, disk }: PodUsage): number | undefined {
  if (resource === "memory") {
    return sample?.containers.find((one) => one.name === name)?.usage.memory.workingSet;
  }
  const own = resource === "ephemeral-storage" ? disk?.containers.find((one) => one.name === name) : undefined;
  return own?.layer && own.layer.bytes + own.logs.bytes;
}

/** Whether a pod has limits of its own on the disk. */
export const limitsDisk = ({ spec }: Pod): boolean =>
  (spec?.volumes ?? []).some(({ emptyDir }) => emptyDir?.sizeLimit !== undefined) ||
  [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].some(
    ({ resources }) => resources?.limits?.["ephemeral-storage"] !== undefined,
  );

/**
 * Why a pod is evicted that uses more of the disk than it may: an emptyDir above its size limit, all containers above
 * the sum of their limits, or one above its own (localStorageEviction). Undefined: it does not.
 */
export function excess(pod: Pod, { total, containers, volumes }: PodDisk): string | undefined {
  for (const { name, emptyDir } of pod.spec?.volumes ?? []) {
    // The kernel enforces the limit of a volume in memory.
    if (!emptyDir?.sizeLimit || emptyDir.medium === "Memory") continue;
    const limit = Number(quantityValue(emptyDir.sizeLimit));
    const used = volumes.find((volume) => volume.name === name)?.usage.bytes ?? 0;
    if (limit > 0 && used > limit)
      return `Usage of EmptyDir volume "${name}" exceeds the limit "${emptyDir.sizeLimit}". `;
  }
  const limits = limitsOf(pod);
  // The limits that exist are summed, also where other containers have none (component-helpers' PodLimits).
  const sum = [...limits.values()].reduce((all, { bytes }) => all + bytes, 0);
  if (limits.size > 0 && total.bytes > sum) {
    return `Pod ephemeral local storage usage exceeds the total limit of containers ${bytesText(sum)}. `;
  }
  for (const { name, layer, logs } of containers) {
    const limit = limits.get(name);
    if (limit && limit.bytes > 0 && (layer?.bytes ?? 0) + logs.bytes > limit.bytes) {
      return `Container ${name} exceeded its local ephemeral storage limit "${limit.text}". `;
    }
  }
  return undefined;
}

function limitsOf({ spec }: Pod): Map<string, { text: string; bytes: number }> {
  const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  return new Map(
    [...(spec?.containers ?? []), ...sidecars].flatMap(({ name, resources }) => {
      const text = resources?.limits?.["ephemeral-storage"];
      return text === undefined ? [] : [[name, { text, bytes: Number(quantityValue(text)) }] as const];
    }),
  );
}

/**
 * Why a node under pressure rejects a pod; undefined when it admits it. Short memory alone still admits pods that are
 * not best effort, and those that tolerate its taint (managerImpl.Admit).
 */
export function pressureRejection(
  pod: Pod,
  pressures: ReadonlySet<Pressure>,
): { reason: string; message: string } | undefined {
  if (pressures.size === 0 || isCritical(pod)) return undefined;
  if (pressures.size === 1 && pressures.has("MemoryPressure")) {
    if (qosClassOf(pod.spec ?? { containers: [] }) !== "BestEffort") return undefined;
    const taint = { key: "node.kubernetes.io/memory-pressure", effect: "NoSchedule" };
    if ((pod.spec?.tolerations ?? []).some((toleration) => toleratesTaint(toleration, taint))) return undefined;
  }
  return { reason: "Evicted", message: `The node had condition: [${[...pressures].join(" ")}]. ` };
}
