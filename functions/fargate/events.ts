import * as z from "zod";
import { Task } from "#fargate/kubelet";
import { QueueEvent } from "#hosts/aws";

/** ECS reports a changed task: at least once, in any order. */
export const TaskEvent = z.object({
  source: z.literal("aws.ecs"),
  "detail-type": z.literal("ECS Task State Change"),
  account: z.string().max(12),
  detail: Task,
});

export const FargateEvent = z.union([QueueEvent, TaskEvent]);
