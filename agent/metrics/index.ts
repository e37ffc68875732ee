/**
 * The kubelet's own numbers for Prometheus, under upstream's names.
 */
export { type KubeletMetrics, kubeletMetrics } from "./kubelet.ts";
