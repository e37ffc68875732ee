/**
 * The node itself: what this machine is and can give, registered as a Node, kept alive by a Lease, and its status
 * told when it changes. It runs no pods.
 */
export { type HostFacts, hostFacts } from "./facts.ts";
export { nodeRange, type RangeOptions } from "./range.ts";
export { type NodeAgent, type NodeOptions, startNode } from "./register.ts";
export { nodeStatus, type StatusInput } from "./status.ts";
