/** apps/v1: kinds that keep pods running. */
export * from "./deployment/index.ts";
export * from "./replica-set/index.ts";
