/**
 * The whole control plane in one test process: over the memory store, on a virtual clock that moves only when nothing
 * else is left to do, and with nodes that run nothing. Tests act through the API.
 */
export { playAgents } from "./agents.ts";
export { openCluster, type TestCluster, type TestClusterOptions, testIssuer } from "./cluster.ts";
