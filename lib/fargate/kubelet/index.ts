/**
 * The kubelet of pods that run as tasks on Fargate, without an agent: task definitions of pods, refusals, and the
 * status of pods by ECS's reports. It places no pod, and gives a pod another task only when a kubelet would restart it
 * in place.
 */
export { kubelet } from "./kubelet.ts";
export { registerFargateNode } from "./node.ts";
export { Task } from "./task.ts";
export { EcsTasks, type Tasks } from "./tasks.ts";
export { unusedDefinitions } from "./unused.ts";
