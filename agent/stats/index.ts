/**
 * What a node and its pods use: read from the kernel's cgroups of both versions and from the runtime, and answered as
 * the kubelet's summary, its metrics for Prometheus and the values of metrics.k8s.io. Nothing is stored.
 */
export { type Filesystem, filesystemOf, type HostUsage, readHost, readProcesses } from "./host.ts";
export { NodeStats, type NodeStatsOptions } from "./node-stats.ts";
export type { PodDisk } from "./pod-disk.ts";
export type { PodSample, Sample } from "./sample.ts";
