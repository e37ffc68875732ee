import { ECSClient } from "@aws-sdk/client-ecs";
import { SFNClient } from "@aws-sdk/client-sfn";
import { EcsTasks, type Tasks } from "#fargate/kubelet";
import { clock, dynamo, fargateQueue, objectsTable, once, random } from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";
import { dynamoDueIndex, type ScheduleWork, timers } from "#reconcile/sqs";

/** Tasks of pods. */
export const tasks = once(
  (): Tasks =>
    new EcsTasks({
      ecs: new ECSClient({ maxAttempts: 2 }),
      cluster: requiredVariable("SKIFF_ECS_CLUSTER"),
      subnets: requiredVariable("SKIFF_SUBNETS").split(","),
      securityGroups: requiredVariable("SKIFF_SECURITY_GROUPS").split(","),
      random,
    }),
);

/** Wakes keys of the queue `fargate` later. */
export const later = once(
  (): ScheduleWork =>
    timers({
      sfn: new SFNClient({}),
      machine: requiredVariable("SKIFF_WAIT_ARN"),
      queue: fargateQueue(),
      queueUrl: requiredVariable("SKIFF_FARGATE_QUEUE_URL"),
      due: dynamoDueIndex(dynamo(), objectsTable()),
      clock,
    }),
);
