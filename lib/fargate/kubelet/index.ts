/**
 * The kubelet of pods that run as tasks on Fargate, without any agent: what a pod is as a task definition, what is
 * refused, and a pod's status from what ECS reports of its task. It never places a pod, and gives a pod another task
 * only where a kubelet would start it again in place.
 */
export { kubelet } from "./kubelet.ts";
export { registerFargateNode } from "./node.ts";
export { Task } from "./task.ts";
export { EcsTasks, type Tasks } from "./tasks.ts";
export { unusedDefinitions } from "./unused.ts";
