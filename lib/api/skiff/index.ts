/** Kinds of Skiff: the access of AWS IAM principals, and the control plane's own records, which are not served. */
export * from "./access-entry.ts";
export * from "./node-port-allocation.ts";
export * from "./pod-cidr-allocation.ts";
