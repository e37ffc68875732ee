/**
 * The kubelet of pods that run as tasks on Fargate, without an agent: it creates task definitions, rejects pods that
 * Fargate cannot run, and writes the status of pods from ECS's reports. A pod gets another task only when a kubelet
 * would restart it in place.
 */
export { kubelet } from "./kubelet.ts";
export { registerFargateNode } from "./node.ts";
export { Task } from "./task.ts";
export { EcsTasks, type Tasks } from "./tasks.ts";
export { unusedDefinitions } from "./unused.ts";
