/** The names under which the node's work waits in its queue: keys of pods, and ARNs of tasks whose pods are gone. */
export const work = { pod: "fargate", stop: "fargate-stop" };
