/**
 * Probes: how one check of a container is made (exec, HTTP, TCP, gRPC), and the schedule of a probe with upstream's
 * thresholds. What a result leads to is pods' business.
 */
export { type CheckTarget, check, type Handler } from "./check.ts";
export type { CheckResult } from "./result.ts";
export { type ProbeOptions, type ProbeType, type RunningProbe, runProbe } from "./schedule.ts";
