/**
 * The kubelet's metrics for Prometheus, under upstream's names.
 */
export { type KubeletMetrics, kubeletMetrics } from "./kubelet.ts";
