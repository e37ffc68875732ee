/** coordination.k8s.io/v1: leases. */
export * from "./lease.ts";
