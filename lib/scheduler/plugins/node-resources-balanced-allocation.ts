import { highestScore, type Plugin } from "../framework/index.ts";

const balanced = ["cpu", "memory"];

/** Prefers nodes whose resources would be used evenly: the smaller the difference of the shares, the better. */
export const nodeResourcesBalancedAllocation: Plugin = {
  name: "NodeResourcesBalancedAllocation",
  weight: 1,
  // A pod without requests does not affect the balance.
  preScore: ({ requests }) => (balanced.some((resource) => (requests[resource] ?? 0) > 0) ? undefined : "skip"),
  score(pod, node) {
    const shares: number[] = [];
    for (const resource of balanced) {
      const capacity = node.allocatable[resource] ?? 0;
      if (capacity === 0) continue;
      const used = (node.requested[resource] ?? 0) + (pod.requests[resource] ?? 0);
      shares.push(Math.min(1, used / capacity));
    }
    const mean = shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
    const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / Math.max(1, shares.length);
    return Math.trunc((1 - Math.sqrt(variance)) * highestScore);
  },
};
