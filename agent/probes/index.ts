/**
 * Probes: the checks of a container (exec, HTTP, TCP, gRPC), and the schedule of a probe with upstream's thresholds.
 * The pods room acts on the results.
 */
export { type CheckTarget, check, type Handler } from "./check.ts";
export { type HttpGetAction, type HttpResult, httpGet, requestOf } from "./http.ts";
export type { CheckResult } from "./result.ts";
export { type ProbeOptions, type ProbeType, RunningProbe } from "./running-probe.ts";
