import type { Work } from "#reconcile";
import type { Change } from "#store";
import { deduplicationOf, encodeMessage, groupOf, type Message } from "./message.ts";
import type { FifoQueue, Sent } from "./queue.ts";

/** Turns changes into messages for those who wait for them. */
export interface Announcer {
  /** By who wrote, at once: only what is found without reading. */
  early(type: string, changes: readonly Change[], hops: number): Promise<void>;
  /**
   * By the stream: everything. The same message sent twice is one message, and of several for one key in a batch the
   * last one does for all.
   */
  all(batch: readonly Happened[]): Promise<void>;
}

/** A change, where it happened, and after how many hops. */
export interface Happened {
  type: string;
  change: Change;
  hops: number;
}

export interface AnnouncerOptions {
  /** What a change means to the controllers and to the scheduler. `quick` leaves out what takes reading to find. */
  router: {
    route(type: string, change: Change, how?: "quick"): Promise<Work[]>;
    places(type: string, change: Change): boolean;
  };
  reconcile: FifoQueue;
  schedule: FifoQueue;
  /** What a change means to whoever runs pods as tasks; found without reading. */
  tasks: { queue: FifoQueue; workOf: (type: string, change: Change) => Work[] };
}

/** The one group of the scheduler's queue: pods are placed by one at a time. */
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

/** The last message of each group: what is, counts, not how often it was changed. */
const lastOf = (messages: readonly Sent[]): Sent[] => [
  ...new Map(messages.map((message) => [message.group, message])).values(),
];

/** A message that makes the scheduler look. */
export const wakeScheduler = (cause: string): Sent => ({
  body: JSON.stringify({ cause }),
  group: scheduling,
  deduplication: cause.replace(/[^a-zA-Z0-9]/g, "-").slice(0, 128),
});
