/**
 * The node itself: the machine's facts and resources, registered as a Node, its heartbeats by a Lease, and its status.
 * It runs no pods.
 */
export { amountsOf, type Held, parseReserved } from "./allocatable.ts";
export { type HostFacts, hostFacts } from "./facts.ts";
export { type PodCidrOptions, waitForPodCidr } from "./pod-cidr.ts";
export { mostPods, type NodeAgent, type NodeOptions, startNode } from "./register.ts";
export { nodeStatus, type StatusInput } from "./status.ts";
