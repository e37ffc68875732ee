/**
 * The runtime port over CRI v1 on a unix socket: containerd, and CRI-O where it listens. Logs are read from the files
 * that the runtime writes; exec, attach and port-forward go through its streaming server. Beside it, in private/, a
 * containerd of our own. It decides nothing about pods.
 */
export { importImage } from "./import.ts";
export { type ContainerdOptions, containerdRuntime } from "./runtime.ts";
