/** The controllers' worker: reconciles a batch of keys and reports the failed ones. */

import { failuresOf, lambda, openPlane, QueueEvent, reconcileQueue, takenOf, withHopCount } from "#hosts/aws";
import { processBatch } from "#reconcile/sqs";
import { authority, cloud, later } from "./ports.ts";

export const handler = lambda(QueueEvent, async (event) => {
  const demand = openPlane(() => ({ cloud: cloud(), ...authority() })).onDemand();
  const { controllers, context } = demand;
  const queue = reconcileQueue();
  const failed = await processBatch(takenOf(event), { controllers, context, queue, later: later(), withHopCount });
  await demand.settled();
  return failuresOf(failed);
});
