/**
 * meta.k8s.io and the like: bodies that are never stored: options, answers, tables, watch events, discovery. The
 * metadata of objects is in ../meta.
 */
export * from "./aggregated-discovery.ts";
export * from "./discovery.ts";
export * from "./options.ts";
export * from "./partial-object-metadata.ts";
export * from "./status.ts";
export * from "./table.ts";
export * from "./watch-event.ts";
