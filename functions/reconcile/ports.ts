import { SFNClient } from "@aws-sdk/client-sfn";
import type { Cloud } from "#cloud";
import { clock, dynamo, lazily, objectsTable, once, reconcileQueue } from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";
import { dynamoDueIndex, type ScheduleWork, timers } from "#reconcile/sqs";

/** Wakes keys of the queue `reconcile` later. */
export const later = once(
  (): ScheduleWork =>
    timers({
      sfn: new SFNClient({}),
      machine: requiredVariable("SKIFF_WAIT_ARN"),
      queue: reconcileQueue(),
      queueUrl: requiredVariable("SKIFF_RECONCILE_QUEUE_URL"),
      due: dynamoDueIndex(dynamo(), objectsTable()),
      clock,
    }),
);

/** Load balancers and routes: few reconciles need them, and their clients are loaded with the first. */
export const cloud = (): Cloud => lazily(async () => (await import("./cloud.ts")).openCloud());
