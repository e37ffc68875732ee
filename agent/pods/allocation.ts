import { type Container, compareQuantities, type Pod, type PodSpec, qosClassOf, type ResourceRequirements } from "#api";
import { memoryBytes, milliCpu, podRequests } from "#kubelet";

/** The resources that a node has granted to a pod: a resize that is not granted yet differs from them. */
export interface Allocation {
  /** The pod's own. */
  resources?: ResourceRequirements | undefined;
  /** By the names of containers and init containers. */
  containers: Record<string, ResourceRequirements>;
}

const noSpec: PodSpec = { containers: [] };

const containersOf = ({ spec = noSpec }: Pod): Container[] =>
  [...(spec.initContainers ?? []), ...spec.containers] as Container[];

/** What the pod asks for. */
export const allocationOf = (pod: Pod): Allocation => ({
  resources: pod.spec?.resources,
  containers: Object.fromEntries(containersOf(pod).map(({ name, resources = {} }) => [name, resources])),
});

/** The pod with the allocated resources in place of those that it asks for (upstream's UpdatePodFromAllocation). */
export function withAllocation(pod: Pod, allocation: Allocation | undefined): Pod {
  if (!allocation || isAllocated(pod, allocation)) return pod;
  const own = <T extends { name: string }>(container: T): T => {
    const resources = allocation.containers[container.name];
    return resources ? { ...container, resources } : container;
  };
  const { resources: _, ...rest } = pod.spec ?? noSpec;
  const spec: PodSpec = {
    ...rest,
    containers: rest.containers.map(own),
    ...(rest.initContainers ? { initContainers: rest.initContainers.map(own) } : {}),
    ...(allocation.resources ? { resources: allocation.resources } : {}),
  };
  return { ...pod, spec };
}

/** Whether the pod asks for just what it has been granted. */
export function isAllocated(pod: Pod, { resources, containers }: Allocation): boolean {
  if (!sameResources(pod.spec?.resources, resources)) return false;
  return containersOf(pod).every((container) => sameResources(container.resources, containers[container.name] ?? {}));
}

/** Whether two sets of requests and limits are equal, however they are written. */
export function sameResources(a: ResourceRequirements = {}, b: ResourceRequirements = {}): boolean {
  return (["requests", "limits"] as const).every((part) => {
    const one = a[part] ?? {};
    const other = b[part] ?? {};
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    return [...names].every((name) => {
      const [left, right] = [one[name], other[name]];
      // Equal texts are not parsed: an older validation may have accepted a malformed one.
      return left === right || (left !== undefined && right !== undefined && compareQuantities(left, right) === 0);
    });
  });
}

/** Amounts of a node: thousandths of cpu, bytes, and a number of pods. */
export interface Capacity {
  cpu: number;
  memory: number;
  storage: number;
  pods: number;
}

/** The amounts that a node's pods may request; a resource that is not listed is not limited. */
export function capacityOf(allocatable: Readonly<Record<string, string>>): Capacity {
  const bytes = (amount: string | undefined): number =>
    amount === undefined ? Number.POSITIVE_INFINITY : memoryBytes({ memory: amount });
  return {
    cpu: allocatable["cpu"] === undefined ? Number.POSITIVE_INFINITY : milliCpu(allocatable),
    memory: bytes(allocatable["memory"]),
    storage: bytes(allocatable["ephemeral-storage"]),
    pods: Number(allocatable["pods"] ?? Number.POSITIVE_INFINITY),
  };
}

const names = { pods: "pods", cpu: "cpu", memory: "memory", storage: "ephemeral-storage" } as const;

/** What a pod requests. */
export const requestOf = ({ spec = noSpec }: Pod): Capacity => {
  const requests = podRequests(spec);
  const storage = memoryBytes({ memory: requests["ephemeral-storage"] ?? "0" });
  return { pods: 1, cpu: milliCpu(requests), memory: memoryBytes(requests), storage };
};

/** What a pod is short of, as the kubelet's InsufficientResourceError. */
export interface Shortage {
  part: keyof Capacity;
  resource: string;
  message: string;
  /** The amount that would have to become free. */
  missing: number;
}

/** The resources that are not left for the pod beside these others; none where it fits (fitsRequest). */
export function shortagesOf(pod: Pod, others: readonly Pod[], capacity: Capacity): Shortage[] {
  const requested = requestOf(pod);
  const used = others.map(requestOf);
  return (Object.entries(names) as [keyof Capacity, string][]).flatMap(([part, resource]) => {
    const wanted = requested[part];
    const sum = used.reduce((total, one) => total + one[part], 0);
    const missing = wanted - (capacity[part] - sum);
    if (wanted === 0 || missing <= 0) return [];
    const amounts = `requested: ${wanted}, used: ${sum}, capacity: ${capacity[part]}`;
    return [{ part, resource, missing, message: `Node didn't have enough resource: ${resource}, ${amounts}` }];
  });
}

/** A resize that waits for resources. */
export interface PendingResize {
  /** As the pod asks for. */
  pod: Pod;
  allocation: Allocation;
  /** When it began to wait, in milliseconds since the epoch. */
  since: number;
}

/** The order in which waiting resizes are tried (upstream's sortPendingResizes). */
export function inOrder(pending: readonly PendingResize[]): PendingResize[] {
  const rank = ({ pod, allocation, since }: PendingResize) => {
    const now = requestOf(withAllocation(pod, allocation));
    const next = requestOf(pod);
    return [
      next.cpu > now.cpu || next.memory > now.memory ? 1 : 0,
      -(pod.spec?.priority ?? 0),
      qosClassOf(pod.spec ?? noSpec) === "Guaranteed" ? 0 : 1,
      since,
    ];
  };
  const ranked = pending.map((one) => ({ one, rank: rank(one) }));
  ranked.sort((a, b) => {
    const at = a.rank.findIndex((value, index) => value !== b.rank[index]);
    return at === -1 ? 0 : a.rank[at]! - b.rank[at]!;
  });
  return ranked.map(({ one }) => one);
}
