import type { Work } from "#reconcile";
import type { Change } from "#store";
import { deduplicationOf, encodeMessage, groupOf, type Message } from "./message.ts";
import type { FifoQueue, Sent } from "./queue.ts";

/** Turns changes into messages for controllers, the scheduler and Fargate. */
export interface Announcer {
  /** Called by the writer, at once: only keys that are found without reading. */
  early(type: string, changes: readonly Change[], hops: number): Promise<void>;
  /**
   * Called by the stream: all keys. A message that is sent twice is one message; of several for one key in a batch only
   * the last is sent.
   */
  all(batch: readonly Happened[]): Promise<void>;
}

/** A change, its resource type, and the number of hops that led to it. */
export interface Happened {
  type: string;
  change: Change;
  hops: number;
}

export interface AnnouncerOptions {
  /**
   * The work that a change triggers for controllers, and whether it triggers the scheduler. `quick` leaves out keys
   * that need reads.
   */
  router: {
    route(type: string, change: Change, how?: "quick"): Promise<Work[]>;
    places(type: string, change: Change): boolean;
  };
  reconcile: FifoQueue;
  schedule: FifoQueue;
  /** The work that a change triggers for pods on Fargate; found without reading. */
  tasks: { queue: FifoQueue; workOf: (type: string, change: Change) => Work[] };
}

/** The only group of the scheduler's queue: one worker schedules at a time. */
const scheduling = "schedule";

export const sentOf = (message: Message): Sent => ({
  body: encodeMessage(message),
  group: groupOf(message),
  deduplication: deduplicationOf(message),
});

export function announcer({ router, reconcile, schedule, tasks }: AnnouncerOptions): Announcer {
  const announce = async (batch: readonly Happened[], how?: "quick"): Promise<void> => {
    const keys: Sent[] = [];
    const places: Sent[] = [];
    const ran: Sent[] = [];
    for (const { type, change, hops } of batch) {
      const cause = `${type}@${change.revision}`;
      for (const work of await router.route(type, change, how)) keys.push(sentOf({ ...work, cause, hops }));
      if (router.places(type, change)) places.push(wakeScheduler(cause));
      for (const work of tasks.workOf(type, change)) ran.push(sentOf({ ...work, cause, hops }));
    }
    await Promise.all([reconcile.send(lastOf(keys)), schedule.send(lastOf(places)), tasks.queue.send(lastOf(ran))]);
  };
  return {
    early: (type, changes, hops) =>
      announce(
        changes.map((change) => ({ type, change, hops })),
        "quick",
      ),
    all: (batch) => announce(batch),
  };
}

/** The last message of each group: only the latest state matters, so one message per group is enough. */
const lastOf = (messages: readonly Sent[]): Sent[] => [
  ...new Map(messages.map((message) => [message.group, message])).values(),
];

/** A message that triggers the scheduler. */
export const wakeScheduler = (cause: string): Sent => ({
  body: JSON.stringify({ cause }),
  group: scheduling,
  deduplication: cause.replace(/[^a-zA-Z0-9]/g, "-").slice(0, 128),
});
