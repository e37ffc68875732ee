import type { OnDemand } from "#controlplane";
import { deduplicationOf, encodeMessage, type FifoQueue, groupOf, type Message, type Sent } from "#reconcile/sqs";
import type { Change } from "#store";

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
}

/** The one group of the scheduler's queue: pods are placed by one at a time. */
const scheduling = "schedule";

export const sentOf = (message: Message): Sent => ({
  body: encodeMessage(message),
  group: groupOf(message),
  deduplication: deduplicationOf(message),
});

export function announcer({ demand, reconcile, schedule }: AnnouncerOptions): Announcer {
  const announce = async (type: string, changes: readonly Change[], hops: number, how?: "quick"): Promise<void> => {
    const keys: Sent[] = [];
    const places: Sent[] = [];
    for (const change of changes) {
      const cause = `${type}@${change.revision}`;
      for (const work of await demand.route(type, change, how)) keys.push(sentOf({ ...work, cause, hops }));
      if (demand.places(type, change)) places.push(wakeScheduler(cause));
    }
    await Promise.all([reconcile.send(keys), schedule.send(places)]);
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
