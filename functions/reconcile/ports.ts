import { SFNClient } from "@aws-sdk/client-sfn";
import type { Cloud } from "#cloud";
import type { ControlPlaneOptions } from "#controlplane";
import { clock, dynamo, lazily, objectsTable, once, openPlane, reconcileQueue } from "#hosts/aws";
import { readAuthority, trustedWith } from "#hosts/aws/authority";
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

/** Few reconciles create or sign certificates, too. */
const issuing = () => import("./authority.ts");

/** The cluster's authority: its certificate in pods, and those that nodes get for serving the API inside pods. */
export const authority = (): Pick<ControlPlaneOptions, "ca" | "signApiServing"> => ({
  ca: async (client) =>
    trustedWith((await readAuthority(client)) ?? (await (await issuing()).openAuthority(client, clock))),
  signApiServing: async (request, issued) =>
    (await issuing()).signByAuthority(openPlane().client, clock, { request, ...issued }),
});
