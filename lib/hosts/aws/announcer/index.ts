/**
 * How the writes of a control plane on AWS wake controllers, the scheduler and the Fargate kubelet: by messages in
 * their queues, sent before a commit resolves where the change alone yields the keys, and again from the stream.
 */
import { pods } from "#api";
import type { Log } from "#base";
import type { ControlPlane } from "#controlplane";
import { fargateWork, type PodEvents } from "#fargate";
import { type Announcer, announcer, type FifoQueue } from "#reconcile/sqs";
import type { Change } from "#store";

/** The queues of a cluster, by the functions that read them. */
export interface Queues {
  reconcile: FifoQueue;
  schedule: FifoQueue;
  fargate: FifoQueue;
}

/** Enqueues the keys that the changes of a control plane's store concern. */
export function planeAnnouncer(plane: ControlPlane, { reconcile, schedule, fargate }: Queues): Announcer {
  const seen: PodEvents = (change) => plane.resources.event(pods, change) as ReturnType<PodEvents>;
  return announcer({
    router: plane.onDemand(),
    reconcile,
    schedule,
    tasks: { queue: fargate, workOf: (type, change) => fargateWork(type, change, seen) },
  });
}

interface EarlyOptions {
  announcer: () => Announcer;
  log: Log;
  /** The hops of the work that writes. */
  hops: () => number;
}

/**
 * Enqueues keys of the store's own writes before they resolve. A failure is only logged: the stream reports the same
 * changes a moment later.
 */
export const enqueueEarly =
  ({ announcer, log, hops }: EarlyOptions) =>
  (type: string, changes: Change[]): Promise<void> =>
    announcer()
      .early(type, changes, hops())
      .catch((error: unknown) => log.warn("keys could not be sent early", { type, error }));
