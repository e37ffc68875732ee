/**
 * The whole control plane in one test process: over the memory store, with real time unless told, and nodes that run
 * nothing. What a test does, it does through the API.
 */
export { openCluster, playAgents, type TestCluster, type TestClusterOptions, testIssuer } from "./cluster.ts";
