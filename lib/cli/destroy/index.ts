/**
 * `skiff destroy`: takes a cluster out of an AWS account, with its data or without. What must be so before the stacks
 * go is made so first. It removes nothing that the stacks, or pods on Fargate, did not make.
 */

export type { DestroyOptions } from "./destroy.ts";
export { type DestroySettings, destroy } from "./destroy.ts";
export { type DataPolicy, dataPolicy, planOf, type Step } from "./plan.ts";
