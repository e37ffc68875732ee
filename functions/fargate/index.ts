/** The kubelet of pods on Fargate: keys of pods from its queue, and what ECS reports of tasks. */
import type { Context } from "aws-lambda";
import { kubelet, unusedDefinitions } from "#fargate/kubelet";
import { failuresOf, fargateQueue, lambda, log, openPlane, takenOf, withHopCount } from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";
import { processBatch } from "#reconcile/sqs";
import { FargateEvent } from "./events.ts";
import { later, tasks } from "./ports.ts";

export const handler = lambda(FargateEvent, async (event, invocation) => {
  const demand = openPlane().onDemand();
  const { context } = demand;
  const place = placeOf(invocation);
  const settings = {
    cluster: requiredVariable("SKIFF_CLUSTER"),
    region: place.region,
    logGroup: requiredVariable("SKIFF_POD_LOG_GROUP"),
    executionRole: requiredVariable("SKIFF_TASK_EXECUTION_ROLE"),
  };
  const node = { context, tasks: tasks(), later: later(), settings };
  const { controllers: ofPods, taskChanged } = kubelet(node);
  if ("Records" in event) {
    const controllers = [...ofPods, unusedDefinitions(node)];
    const failed = await processBatch(takenOf(event), {
      controllers,
      context,
      queue: fargateQueue(),
      later: later(),
      withHopCount,
    });
    await demand.settled();
    return failuresOf(failed);
  }
  // The bus may carry tasks of other clusters.
  if (event.detail.clusterArn === place.cluster) await withHopCount(1, () => taskChanged(event.detail));
  else log.warn("an event of another cluster's task was ignored", { cluster: event.detail.clusterArn });
  await demand.settled();
  return undefined;
});

/** The region of this function, and the ECS cluster beside it. */
function placeOf({ invokedFunctionArn }: Context): { region: string; cluster: string } {
  const [, partition, , region = "", account] = invokedFunctionArn.split(":");
  return {
    region,
    cluster: `arn:${partition}:ecs:${region}:${account}:cluster/${requiredVariable("SKIFF_ECS_CLUSTER")}`,
  };
}
