/**
 * What the API, the gateway and the functions know of the node whose pods are Fargate tasks: its name, what a change
 * means to it, and the record of a pod's task. It calls no service; what is done for the pods is `kubelet/`'s.
 */
export { fargateWork, type PodEvents } from "./concerns.ts";
export { fargateNode, isFargateNode, logPrefix, work } from "./names.ts";
export { conditionOf, heardOf, isStopped, recordOf, type TaskRecord } from "./record.ts";
