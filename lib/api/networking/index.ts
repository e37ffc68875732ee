/** networking.k8s.io/v1: the addresses of services. */
export * from "./ip-address.ts";
export * from "./service-cidr.ts";
