/**
 * What processes tell of themselves for Prometheus: `process_*` of each, and the kubelet's own numbers under upstream's
 * names.
 */
export { type KubeletMetrics, kubeletMetrics } from "./kubelet.ts";
export { processMetrics } from "./process.ts";
