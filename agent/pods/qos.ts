import type { ResourceSpec } from "#agent/runtime";
import {
  type Container,
  type Pod,
  qosClassOf,
  quantityMilliValue,
  quantityValue,
  type ResourceRequirements,
} from "#api";

/** Pods with at least this priority are critical for the node. */
const nodeCriticalPriority = 2_000_001_000;

/** The kernel's OOM score adjustment: the more memory a container requests, the later it is killed. */
export function oomScoreAdjust(pod: Pod, container: Pick<Container, "resources">, memoryCapacity: number): number {
  if ((pod.spec?.priority ?? 0) >= nodeCriticalPriority) return -997;
  const qos = qosClassOf(pod.spec ?? { containers: [] });
  if (qos === "Guaranteed") return -997;
  if (qos === "BestEffort") return 1000;
  const request = Number(quantityValue(container.resources?.requests?.["memory"] ?? "0"));
  const score = 1000 - Math.floor((1000 * request) / memoryCapacity);
  // Between guaranteed pods (at most 2) and best-effort pods (1000).
  return Math.max(3, Math.min(score, 999));
}

/** The pod's cgroup below the kubelet's, as a path; undefined where the runtime has none. */
export function cgroupParentOf(pod: Pod, driver: "cgroupfs" | "systemd" | "none", root: string): string | undefined {
  if (driver === "none") return undefined;
  const uid = pod.metadata.uid ?? "";
  const qos = qosClassOf(pod.spec ?? { containers: [] }).toLowerCase();
  if (driver === "cgroupfs") return `${root}${qos === "guaranteed" ? "" : `/${qos}`}/pod${uid}`;
  // systemd writes the path as one name: dashes separate levels, so those of the uid become underscores.
  const slice = root.replace(/^\//, "").replaceAll("/", "-");
  return `${slice}${qos === "guaranteed" ? "" : `-${qos}`}-pod${uid.replaceAll("-", "_")}.slice`;
}

const cpuPeriod = 100_000;

/** A container's limits in the kernel's units, by upstream's formulas. */
export function resourcesOf(pod: Pod, container: Pick<Container, "resources">, memoryCapacity: number): ResourceSpec {
  const { limits = {}, requests = {} }: ResourceRequirements = container.resources ?? {};
  const limitMilli = Number(quantityMilliValue(limits["cpu"] ?? "0"));
  const requestMilli = requests["cpu"] === undefined ? limitMilli : Number(quantityMilliValue(requests["cpu"]));
  const memory = Number(quantityValue(limits["memory"] ?? "0"));
  return {
    cpuShares: requestMilli === 0 ? 2 : Math.max(2, Math.min(262_144, Math.floor((requestMilli * 1024) / 1000))),
    ...(limitMilli > 0 ? { cpuQuota: Math.max(1000, Math.floor((limitMilli * cpuPeriod) / 1000)), cpuPeriod } : {}),
    ...(memory > 0 ? { memoryBytes: memory } : {}),
    oomScoreAdjust: oomScoreAdjust(pod, container, memoryCapacity),
  };
}
