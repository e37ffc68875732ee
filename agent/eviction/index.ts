/**
 * Evictions by the node, as the kubelet's: thresholds of memory, disk and processes, the order in which pods go, limits
 * of pods on the disk, and the pressures that the node reports and by which it rejects pods.
 */
export { type Eviction, EvictionManager, type EvictionOptions } from "./manager.ts";
export { observeHost } from "./observe.ts";
export {
  amountOf,
  defaultThresholds,
  type Pressure,
  parseSoftThresholds,
  parseThresholds,
  type Threshold,
} from "./thresholds.ts";
