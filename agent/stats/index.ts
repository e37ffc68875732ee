/**
 * What a node and its pods use: read from the kernel's cgroups of both versions and from the runtime, and answered as
 * the kubelet's summary, its metrics for Prometheus and the values of metrics.k8s.io. Nothing is stored.
 */
export { Cgroups, type CgroupUsage } from "./cgroup.ts";
export { type Filesystem, filesystemOf, type HostUsage, readHost } from "./host.ts";
export { NodeStats, type NodeStatsOptions } from "./node-stats.ts";
