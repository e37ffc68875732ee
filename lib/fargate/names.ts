/** The node whose pods run on Fargate. It is not a machine, and always exists. */
export const fargateNode = "fargate";

export const isFargateNode = (name: string | undefined): boolean => name === fargateNode;

/**
 * The controllers of the node's queue: keys of pods, ARNs of tasks whose pods were deleted, and one key for all
 * definitions.
 */
export const work = { pod: "fargate", stop: "fargate-stop", definitions: "fargate-definitions" };

/** The prefix of tasks' log streams; the awslogs driver names them `<prefix>/<container>/<task id>`. */
export const logPrefix = "fargate";
