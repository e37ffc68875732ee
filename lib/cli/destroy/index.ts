/**
 * `skiff destroy`: removes a cluster from an AWS account, with or without its data, after the preparations that the
 * stacks' deletion needs. It removes only what the stacks, or pods on Fargate, created.
 */

export type { DestroyOptions } from "./destroy.ts";
export { type DestroySettings, destroy } from "./destroy.ts";
export { type DataPolicy, dataPolicy, planOf, type Step } from "./plan.ts";
