import * as z from "zod";

const arn = z.string().startsWith("arn:").max(2048);
const word = z.string().max(64);
const moment = z.iso.datetime({ offset: true });
/** Text that is only shown to users. */
const truncated = z.string().transform((text) => text.slice(0, 1024));

const container = z.object({
  name: z.string().max(255),
  lastStatus: word.optional(),
  exitCode: z.int().optional(),
  reason: truncated.optional(),
  runtimeId: z.string().max(255).optional(),
  imageDigest: z.string().max(255).optional(),
  healthStatus: word.optional(),
  networkInterfaces: z
    .array(z.object({ privateIpv4Address: z.string().max(64).optional() }))
    .max(10)
    .optional(),
});

const attachment = z.object({
  type: z.string().max(255),
  details: z
    .array(z.object({ name: z.string().max(255).optional(), value: z.string().max(2048).optional() }))
    .max(50)
    .optional(),
});

/** A task as ECS describes it, in events and in responses; other fields are ignored. */
export const Task = z.object({
  taskArn: arn,
  clusterArn: arn,
  /** The uid of the pod, for tasks of the Fargate node. */
  startedBy: z.string().max(128).optional(),
  /** Rises with every change of the task. */
  version: z.int().nonnegative(),
  lastStatus: word,
  desiredStatus: word,
  createdAt: moment,
  startedAt: moment.optional(),
  stoppedAt: moment.optional(),
  stopCode: word.optional(),
  stoppedReason: truncated.optional(),
  containers: z.array(container).max(20).default([]),
  attachments: z.array(attachment).max(20).default([]),
});
export type Task = z.infer<typeof Task>;
export type TaskContainer = z.infer<typeof container>;
