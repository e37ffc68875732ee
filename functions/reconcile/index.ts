/** The controllers' worker: reconciles a batch of keys and says which of them failed. */
import { workOff } from "#reconcile/sqs";
import { lambda } from "../middleware.ts";
import { hopping, later, openPlane, reconcileQueue } from "../ports.ts";
import { failuresOf, QueueEvent, takenOf } from "../queue-event.ts";

export const handler = lambda(QueueEvent, async (event) => {
  const { controllers, context, settled } = openPlane().onDemand();
  const queue = reconcileQueue();
  const failed = await workOff(takenOf(event), { controllers, context, queue, later: later(), hopping });
  await settled();
  return failuresOf(failed);
});
