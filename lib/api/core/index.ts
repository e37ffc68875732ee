/**
 * The core group, v1. One file or folder per kind: its schema, its type and its definition; what several kinds share
 * (references, taints, names of resources) stands beside them.
 */
export * from "./binding.ts";
export * from "./config-map.ts";
export * from "./endpoints/index.ts";
export * from "./event.ts";
export * from "./namespace.ts";
export * from "./node/index.ts";
export * from "./pod/index.ts";
export * from "./reference.ts";
export * from "./secret.ts";
export * from "./service/index.ts";
export * from "./service-account.ts";
export * from "./topology.ts";
