/**
 * What the API, the gateway and the functions share about the node whose pods are Fargate tasks: its name, the work
 * that a change causes, and the record of a pod's task. It calls no service; the kubelet is in `kubelet/`.
 */
export { fargateWork, type PodEvents } from "./concerns.ts";
export { fargateNode, isFargateNode, logPrefix, work } from "./names.ts";
export { conditionOf, heardOf, isStopped, recordOf, type TaskRecord } from "./record.ts";
