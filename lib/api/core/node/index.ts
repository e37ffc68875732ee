/** Node: a machine that runs pods. */
export * from "./node.ts";
export * from "./schema.ts";
