/** ReplicaSet: pods by the number. */
export * from "./replica-set.ts";
export * from "./schema.ts";
