import * as z from "zod";

const count = z.number().nonnegative();

/** Use of processors and memory over a time that ended at `at`. */
const usage = z.object({
  /** Billionths of a processor's time, as an average over the window. */
  cpu: count,
  /** The working set in bytes, at the end of the window. */
  memory: count,
});

const span = {
  /** Milliseconds since the epoch. */
  at: z.number(),
  /** Milliseconds. */
  window: count,
};

/** What a node's kubelet measures of the node and its pods, for metrics.k8s.io. */
export const nodeUsage = z.object({
  /** Absent while it has been measured once only. */
  node: z.object({ ...span, ...usage.shape }).optional(),
  /** Pods of which every running container has been measured twice. */
  pods: z.array(
    z.object({
      namespace: z.string(),
      name: z.string(),
      uid: z.string(),
      ...span,
      containers: z.array(z.object({ name: z.string(), ...usage.shape })),
    }),
  ),
});
export type NodeUsage = z.infer<typeof nodeUsage>;
