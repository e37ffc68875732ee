/**
 * Graceful shutdown of the machine, as the kubelet's: logind waits while pods are ended by their priority, and new pods
 * are rejected meanwhile.
 */
export { type Logind, systemdLogind } from "./logind.ts";
export { groupsOf, type Period, parsePeriods, type ShutdownOptions } from "./periods.ts";
export { NodeShutdown, type NodeShutdownOptions } from "./shutdown.ts";
