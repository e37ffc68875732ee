/**
 * What workload controllers share: creating, claiming and deleting pods, the order of deletion, revisions and limits
 * of rollouts, and passes over many objects.
 */
export { claim } from "./claim.ts";
export { inDeletionOrder, inRankedDeletionOrder } from "./deletion-order.ts";
export { rolloutLimits } from "./limits.ts";
export { adoptersOf } from "./orphans.ts";
export { inOnePass, passEnd } from "./passes.ts";
export { createPod, deletePod, slowStart } from "./pod-control.ts";
export { availableIn, isActive, isReady, isTerminating, nonZero, readyCondition } from "./pods.ts";
export { beyondHistory, nextRevision, parseRevision } from "./revisions.ts";
export { templateHash } from "./template-hash.ts";
