/**
 * The core group, v1. One file or folder per kind, with its schema, type and definition; types that several kinds share
 * (references, taints, names of resources) have files of their own.
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
