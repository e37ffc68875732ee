/**
 * The kubelet of pods that run as tasks on Fargate: keys of its queue and what ECS tells of tasks. It never places a
 * pod and never restarts what its owner should replace.
 */
import { workOff } from "#reconcile/sqs";
import { lambda } from "../middleware.ts";
import { fargateQueue, hopping, later, openPlane } from "../ports.ts";
import { failuresOf, takenOf } from "../queue-event.ts";
import { FargateEvent } from "./events.ts";

export const handler = lambda(FargateEvent, async (event) => {
  const { context, settled } = openPlane().onDemand();
  if (!("Records" in event)) return undefined;
  const queue = fargateQueue();
  const failed = await workOff(takenOf(event), { controllers: [], context, queue, later: later(), hopping });
  await settled();
  return failuresOf(failed);
});
