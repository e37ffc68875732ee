/** Kinds of our own: the control plane's bookkeeping, none of it served. */
export * from "./node-port-allocation.ts";
