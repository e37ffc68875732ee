/** Service: a name and an address for pods. rules.ts holds what allocators also ask. */
export * from "./rules.ts";
export * from "./schema.ts";
export * from "./service.ts";
export { validateClusterIps } from "./validate-cluster-ips.ts";
