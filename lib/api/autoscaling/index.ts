/** autoscaling/v1: Scale. */
export * from "./scale.ts";
