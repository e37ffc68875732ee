/** storage.k8s.io/v1: CSI drivers, and which of them each node has. */
export * from "./csi-driver.ts";
export * from "./csi-node.ts";
