import type { OnDemand } from "#controlplane";
import { deduplicationOf, encodeMessage, type FifoQueue, groupOf, type Message, type Sent } from "#reconcile/sqs";
import type { Change } from "#store";
import { fargateWork, type PodEvents } from "./fargate/concerns.ts";

/** Turns changes into messages for those who wait for them. */
export interface Announcer {
  /** By who wrote, at once: only what is found without reading. */
  early(type: string, changes: readonly Change[], hops: number): Promise<void>;
  /** By the stream: everything. The same message sent twice is one message. */
  all(type: string, changes: readonly Change[], hops: number): Promise<void>;
}

export interface AnnouncerOptions {
  demand: OnDemand;
  reconcile: FifoQueue;
  schedule: FifoQueue;
  fargate: FifoQueue;
  /** What changes of pods mean. */
  podEvents: PodEvents;
}

/** The one group of the scheduler's queue: pods are placed by one at a time. */
const scheduling = "schedule";

export const sentOf = (message: Message): Sent => ({
  body: encodeMessage(message),
  group: groupOf(message),
  deduplication: deduplicationOf(message),
});

export function announcer({ demand, reconcile, schedule, fargate, podEvents }: AnnouncerOptions): Announcer {
  const announce = async (type: string, changes: readonly Change[], hops: number, how?: "quick"): Promise<void> => {
    const keys: Sent[] = [];
    const places: Sent[] = [];
    const tasks: Sent[] = [];
    for (const change of changes) {
      const cause = `${type}@${change.revision}`;
      for (const work of await demand.route(type, change, how)) keys.push(sentOf({ ...work, cause, hops }));
      if (demand.places(type, change)) places.push(wakeScheduler(cause));
      for (const work of fargateWork(type, change, podEvents)) tasks.push(sentOf({ ...work, cause, hops }));
    }
    await Promise.all([reconcile.send(keys), schedule.send(places), fargate.send(tasks)]);
  };
  return {
    early: (type, changes, hops) => announce(type, changes, hops, "quick"),
    all: (type, changes, hops) => announce(type, changes, hops),
  };
}

/** A message that makes the scheduler look. */
export const wakeScheduler = (cause: string): Sent => ({
  body: JSON.stringify({ cause }),
  group: scheduling,
  deduplication: cause.replace(/[^a-zA-Z0-9]/g, "-").slice(0, 128),
});
