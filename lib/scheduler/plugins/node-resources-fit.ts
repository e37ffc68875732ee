import { amountsOf, type NodeInfo, type Plugin, type PodInfo } from "../framework/index.ts";

/** The resources that a node lacks for a pod, in upstream's words. */
export function insufficient({ requests }: PodInfo, { pods, allocatable, requested }: NodeInfo): string[] {
  const missing: string[] = [];
  if (pods.size + 1 > (allocatable["pods"] ?? 0)) missing.push("Too many pods");
  for (const resource in requests) {
    const wanted = requests[resource]!;
    if (wanted === 0) continue;
    if (wanted > (allocatable[resource] ?? 0) - (requested[resource] ?? 0)) missing.push(`Insufficient ${resource}`);
  }
  return missing;
}

const scored = ["cpu", "memory"];

/** Filters nodes without enough free resources, and prefers those with most left (LeastAllocated). */
export const nodeResourcesFit: Plugin = {
  name: "NodeResourcesFit",
  weight: 1,
  filter(pod, node) {
    const reasons = insufficient(pod, node);
    if (reasons.length === 0) return undefined;
    const never = Object.entries(pod.requests).some(([resource, wanted]) => wanted > (node.allocatable[resource] ?? 0));
    return { reasons, resolvable: !never };
  },
  score(pod, node) {
    let sum = 0;
    let weights = 0;
    for (const resource of scored) {
      const capacity = node.allocatable[resource] ?? 0;
      if (capacity === 0) continue;
      const used = (node.scored[resource] ?? 0) + (pod.scored[resource] ?? 0);
      sum += used > capacity ? 0 : Math.trunc(((capacity - used) * 100) / capacity);
      weights++;
    }
    return weights === 0 ? 0 : Math.trunc(sum / weights);
  },
  hint(event, pod) {
    if (event.type === "node-added") return fits(pod, amountsOf(event.node.status?.allocatable));
    if (event.type === "node-updated") {
      const [before, now] = [amountsOf(event.previous.status?.allocatable), amountsOf(event.node.status?.allocatable)];
      return fits(pod, now) && Object.keys(now).some((resource) => now[resource]! > (before[resource] ?? 0));
    }
    if (event.type === "self-updated") return event.pod.metadata.uid === pod.uid;
    if (event.type === "pod-updated") return true;
    // A deleted pod at least reduces the number of pods.
    return true;
  },
};

const fits = ({ requests }: PodInfo, allocatable: Record<string, number>): boolean =>
  Object.entries(requests).every(([resource, wanted]) => wanted <= (allocatable[resource] ?? 0));
