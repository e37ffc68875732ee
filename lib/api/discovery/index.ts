/** discovery.k8s.io/v1: the endpoints of services. */
export * from "./endpoint-slice/index.ts";
