/** The node whose pods run on Fargate: no machine, and always there. */
export const fargateNode = "fargate";

export const isFargateNode = (name: string | undefined): boolean => name === fargateNode;

/**
 * The names under which the node's work waits in its queue: keys of pods, ARNs of tasks whose pods are gone, and a key for
 * all definitions.
 */
export const work = { pod: "fargate", stop: "fargate-stop", definitions: "fargate-definitions" };

/** What log streams of tasks begin with; the awslogs driver calls one `<prefix>/<container>/<task id>`. */
export const logPrefix = "fargate";
