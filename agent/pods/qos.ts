import type { ResourceSpec } from "#agent/runtime";
import { type Container, isSidecar, type Pod, type PodSpec, qosClassOf, totalOf } from "#api";
import { hasPodLevel, memoryBytes, milliCpu, podLimits, podRequests } from "#kubelet";
import type { NodeFacts } from "./context.ts";

/** Pods with at least this priority are critical for the node. */
const nodeCriticalPriority = 2_000_001_000;

type Memory = Pick<NodeFacts, "memoryBytes" | "allocatable" | "isUnified">;

const noSpec: PodSpec = { containers: [] };

/** The kernel's OOM score adjustment: the more memory a container requests, the later it is killed. */
export function oomScoreAdjust(pod: Pod, container: Pick<Container, "name" | "resources">, capacity: number): number {
  const { spec = noSpec } = pod;
  if ((spec.priority ?? 0) >= nodeCriticalPriority) return -997;
  const qos = qosClassOf(spec);
  if (qos === "Guaranteed") return -997;
  if (qos === "BestEffort") return 1000;
  const score = (request: number): number => 1000 - Math.floor((1000 * request) / capacity);
  const share = memoryShare(spec);
  const own = score(memoryBytes(container.resources?.requests) + share);
  // A sidecar is not killed before the containers that need it (upstream's GetContainerOOMScoreAdjust).
  const isBeside = (spec.initContainers ?? []).some(
    (one) => one.name === container.name && isSidecar(one as Container),
  );
  const least = Math.min(...spec.containers.map(({ resources }) => memoryBytes(resources?.requests)));
  const adjusted = isBeside ? Math.min(own, score(least + share)) : own;
  // Between guaranteed pods (at most 2) and best-effort pods (1000).
  return Math.max(3, Math.min(adjusted, 999));
}

/** What a container gets of the pod's own memory request that no container requests, in bytes. */
function memoryShare(spec: PodSpec): number {
  const left = memoryBytes(spec.resources?.requests) - memoryBytes(totalOf(spec, "requests"));
  return Math.floor(Math.max(left, 0) / (spec.containers.length + (spec.initContainers ?? []).length));
}

/** The parent of a QoS class's pods, below the kubelet's cgroup, as a path of cgroupfs. */
export const qosPath = (root: string, qos: ReturnType<typeof qosClassOf>): string =>
  qos === "Guaranteed" ? root : `${root}/${qos.toLowerCase()}`;

/** The pod's cgroup below the kubelet's, as a path; undefined where the runtime has none. */
export function cgroupParentOf(pod: Pod, driver: "cgroupfs" | "systemd" | "none", root: string): string | undefined {
  if (driver === "none") return undefined;
  const uid = pod.metadata.uid ?? "";
  const qos = qosClassOf(pod.spec ?? noSpec);
  if (driver === "cgroupfs") return `${qosPath(root, qos)}/pod${uid}`;
  // systemd writes the path as one name: dashes separate levels, so those of the uid become underscores.
  const slice = root.replace(/^\//, "").replaceAll("/", "-");
  return `${slice}${qos === "Guaranteed" ? "" : `-${qos.toLowerCase()}`}-pod${uid.replaceAll("-", "_")}.slice`;
}

/** Microseconds. */
export const cpuPeriod = 100_000;

/** Shares of the processor (upstream's MilliCPUToShares). */
export const sharesOf = (milli: number): number => Math.max(2, Math.min(262_144, Math.floor((milli * 1024) / 1000)));

/** Microseconds of a period; 0 is no limit (upstream's MilliCPUToQuota). */
const quotaOf = (milli: number): number => (milli === 0 ? 0 : Math.max(1000, Math.floor((milli * cpuPeriod) / 1000)));

/** The share of the memory between request and limit above which a container is throttled: the kubelet's default. */
const throttlingFactor = 0.9;
const pageBytes = 4096;

/** A container's limits in the kernel's units, by upstream's generateLinuxContainerResources. */
export function resourcesOf(pod: Pod, container: Pick<Container, "name" | "resources">, node: Memory): ResourceSpec {
  const { limits, requests } = container.resources ?? {};
  const whole = pod.spec?.resources?.limits;
  // A container without a limit has the pod's.
  const limitMilli = milliCpu(limits) || milliCpu(whole);
  const memory = memoryBytes(limits) || memoryBytes(whole);
  const requestMilli = requests?.["cpu"] === undefined ? limitMilli : milliCpu(requests);
  const quota = quotaOf(limitMilli);
  return {
    cpuShares: sharesOf(requestMilli),
    ...(quota > 0 ? { cpuQuota: quota, cpuPeriod } : {}),
    ...(memory > 0 ? { memoryBytes: memory } : {}),
    oomScoreAdjust: oomScoreAdjust(pod, container, node.memoryBytes),
    ...(node.isUnified ? { unified: unifiedOf(pod, container, node) } : {}),
  };
}

/**
 * A container's values of cgroup v2 without protection of requests (memoryReservationPolicy None): throttling below the
 * limit, and one death by OOM ends the whole container.
 */
function unifiedOf(pod: Pod, { resources }: Pick<Container, "resources">, node: Memory): Record<string, string> {
  const request = memoryBytes(resources?.requests);
  const limit = memoryBytes(resources?.limits);
  const unified: Record<string, string> = { "memory.oom.group": "1", "memory.min": "0", "memory.low": "0" };
  // The pod's own limit throttles it as a whole.
  if (limit === 0 && memoryBytes(pod.spec?.resources?.limits) > 0) return unified;
  if (request === limit && request !== 0) return unified;
  const high = memoryHigh(request, limit || memoryBytes(node.allocatable));
  return high > request ? { ...unified, "memory.high": String(high) } : unified;
}

const memoryHigh = (request: number, limit: number): number =>
  Math.floor((request + (limit - request) * throttlingFactor) / pageBytes) * pageBytes;

/** A pod's limits in the kernel's units (upstream's ResourceConfigForPod and ApplyPodLevelMemoryHigh). */
export function podResources({ spec = noSpec }: Pod, isUnified: boolean): ResourceSpec {
  const qos = qosClassOf(spec);
  if (qos === "BestEffort") return { cpuShares: sharesOf(0) };
  const requests = podRequests(spec);
  const limits = podLimits(spec);
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  const isLimited = (amount: typeof milliCpu): boolean =>
    amount(spec.resources?.limits) > 0 || all.every(({ resources }) => amount(resources?.limits) > 0);
  const quota = quotaOf(milliCpu(limits));
  const memory = memoryBytes(limits);
  const high = memoryHigh(memoryBytes(requests), memory);
  const isThrottled =
    isUnified && hasPodLevel(spec) && memory > 0 && memoryBytes(requests) !== memory && high > memoryBytes(requests);
  return {
    cpuShares: sharesOf(milliCpu(requests)),
    ...(isLimited(milliCpu) && quota > 0 ? { cpuQuota: quota, cpuPeriod } : {}),
    ...(isLimited(memoryBytes) && memory > 0 ? { memoryBytes: memory } : {}),
    ...(isThrottled && isLimited(memoryBytes) ? { unified: { "memory.high": String(high) } } : {}),
  };
}

/** The shares of the cgroup of all burstable pods: those of the sum of their requests (setCPUCgroupConfig). */
export const burstableShares = (pods: readonly Pod[]): number =>
  sharesOf(
    pods
      .filter(({ spec }) => qosClassOf(spec ?? noSpec) === "Burstable")
      .reduce((sum, { spec }) => sum + milliCpu(podRequests(spec ?? noSpec)), 0),
  );
