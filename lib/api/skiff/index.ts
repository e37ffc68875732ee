/** Kinds of our own: who of AWS IAM may come in, and the control plane's bookkeeping, which is not served. */
export * from "./access-entry.ts";
export * from "./node-port-allocation.ts";
export * from "./pod-cidr-allocation.ts";
