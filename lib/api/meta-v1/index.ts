/**
 * meta.k8s.io and the like: what travels as a body without being kept: options, answers, tables, events of a watch,
 * discovery. The metadata that objects carry is in ../meta.
 */
export * from "./aggregated-discovery.ts";
export * from "./discovery.ts";
export * from "./options.ts";
export * from "./partial-object-metadata.ts";
export * from "./status.ts";
export * from "./table.ts";
export * from "./watch-event.ts";
