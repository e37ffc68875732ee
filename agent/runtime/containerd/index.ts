/**
 * The runtime port over CRI v1 on a unix socket: containerd, or CRI-O. Logs are read from the files that the runtime
 * writes; exec, attach and port-forward use its streaming server. private/ runs a containerd of our own. Nothing here
 * decides about pods.
 */
export { importImage } from "./import.ts";
export { type ContainerdOptions, containerdRuntime } from "./runtime.ts";
