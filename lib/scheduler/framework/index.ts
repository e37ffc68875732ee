/** The framework for scheduler plugins: their interface, and the data that they receive. */
export { addPod, type HostPort, type NodeInfo, nodeInfo, type PodInfo, podInfo, removePod } from "./node-info.ts";
export {
  type ClusterEvent,
  type CycleState,
  highestScore,
  normalizeByHighest,
  type Plugin,
  PluginFailure,
  type Rejection,
} from "./plugin.ts";
export { type Amounts, add, amountsOf, requestsOfPod } from "./resources.ts";
