/** The kubelet of pods on Fargate: keys of pods from its queue, and what ECS reports of tasks. */
import type { Context } from "aws-lambda";
import { kubelet, unusedDefinitions } from "#fargate/kubelet";
import { workOff } from "#reconcile/sqs";
import { told } from "../environment.ts";
import { log } from "../log.ts";
import { lambda } from "../middleware.ts";
import { fargateQueue, hopping, laterOnFargate, openPlane, tasks } from "../ports.ts";
import { failuresOf, takenOf } from "../queue-event.ts";
import { FargateEvent } from "./events.ts";

export const handler = lambda(FargateEvent, async (event, invocation) => {
  const { context, settled } = openPlane().onDemand();
  const place = placeOf(invocation);
  const settings = {
    cluster: told("SKIFF_CLUSTER"),
    region: place.region,
    logGroup: told("SKIFF_POD_LOG_GROUP"),
    executionRole: told("SKIFF_TASK_EXECUTION_ROLE"),
  };
  const later = laterOnFargate();
  const node = { context, tasks: tasks(), later, settings };
  const { controllers: ofPods, taskChanged } = kubelet(node);
  if ("Records" in event) {
    const controllers = [...ofPods, unusedDefinitions(node)];
    const failed = await workOff(takenOf(event), { controllers, context, queue: fargateQueue(), later, hopping });
    await settled();
    return failuresOf(failed);
  }
  // Whatever else may come by the bus: tasks of other clusters are none of ours.
  if (event.detail.clusterArn === place.cluster) await hopping(1, () => taskChanged(event.detail));
  else log.warn("a task of another cluster was told of", { cluster: event.detail.clusterArn });
  await settled();
  return undefined;
});

/** The region of this function, and the ECS cluster beside it. */
function placeOf({ invokedFunctionArn }: Context): { region: string; cluster: string } {
  const [, partition, , region = "", account] = invokedFunctionArn.split(":");
  return { region, cluster: `arn:${partition}:ecs:${region}:${account}:cluster/${told("SKIFF_ECS_CLUSTER")}` };
}
