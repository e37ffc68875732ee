/** The controllers' worker: reconciles a batch of keys and says which of them failed. */
import type { Cloud } from "#cloud";
import { workOff } from "#reconcile/sqs";
import { lambda } from "../middleware.ts";
import { hopping, later, lazily, openPlane, reconcileQueue } from "../ports.ts";
import { failuresOf, QueueEvent, takenOf } from "../queue-event.ts";

/** Load balancers and routes: few reconciles need them, and their clients are loaded with the first. */
const cloud = (): Cloud => lazily(async () => (await import("./cloud.ts")).openCloud());

export const handler = lambda(QueueEvent, async (event) => {
  const { controllers, context, settled } = openPlane(() => ({ cloud: cloud() })).onDemand();
  const queue = reconcileQueue();
  const failed = await workOff(takenOf(event), { controllers, context, queue, later: later(), hopping });
  await settled();
  return failuresOf(failed);
});
