/** metrics.k8s.io: what nodes and pods use, as metrics-server serves it. Nothing is stored. */
export * from "./metrics.ts";
