/**
 * The kubelet's pure rules: a pod's phase and conditions, what a restart policy says, back-off, the merge of a status,
 * and which run of a container a log is of. Shared by real nodes and by Fargate's; it starts nothing and reads no
 * clock.
 */
export { Backoff, backoffBounds, goDuration, retryDelay } from "./backoff.ts";
export { podConditions } from "./conditions.ts";
export { type LoggedRun, loggedRun } from "./logged-run.ts";
export { mergeStatus, ownsCondition } from "./merge.ts";
export { isOver, type Phase, phaseOf } from "./phase.ts";
export { restarts } from "./restart.ts";
export { endedStatuses } from "./terminal.ts";
