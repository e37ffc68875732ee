/**
 * The kubelet's pure rules: a pod's phase and conditions, restart policies, back-off, the merge of a status, and the
 * run of a container whose log is read. Real nodes and Fargate's share them. They start nothing and read no clock.
 */
export { type Amounts, hasPodLevel, memoryBytes, milliCpu, podLimits, podRequests } from "./amounts.ts";
export { Backoff, backoffBounds, retryDelay } from "./backoff.ts";
export { podConditions } from "./conditions.ts";
export { isCritical } from "./critical.ts";
export { type LoggedRun, loggedRun } from "./logged-run.ts";
export { mergeStatus, ownsCondition, statusToWrite } from "./merge.ts";
export { withShortMessages } from "./messages.ts";
export { isOver, type Phase, phaseOf } from "./phase.ts";
export { couldRestartAll, restartingAll, restarts, restartsAll } from "./restart.ts";
export { endedStatuses } from "./terminal.ts";
