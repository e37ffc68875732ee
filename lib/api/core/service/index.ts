/** Service: a name and an address for pods. rules.ts has the rules that allocators use too. */
export * from "./rules.ts";
export * from "./schema.ts";
export * from "./service.ts";
export { validateClusterIps } from "./validate-cluster-ips.ts";
