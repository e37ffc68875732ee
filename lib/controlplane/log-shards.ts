/** Types whose logs take more writes than one partition does. */
const busy = new Set(["core/pods", "core/events", "coordination.k8s.io/leases"]);

/** How many shards a type's log is born with, where logs have any. Whoever writes first decides it: all must agree. */
export const logShards = (type: string): number => (busy.has(type) ? 4 : 1);
