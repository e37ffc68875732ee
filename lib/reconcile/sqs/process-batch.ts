import { type Log, messageOf } from "#base";
import { type AnyController, type ControllerContext, RetryAfter, reconcileKey, Terminal } from "#reconcile";
import { decodeMessage, type Message } from "./message.ts";
import type { FifoQueue } from "./queue.ts";
import type { ScheduleWork } from "./timers.ts";

/** A message as the queue's event source delivers it. */
export interface QueueRecord {
  id: string;
  body: string;
  group: string;
  receipt: string;
  /** How often it has been received, including this time. */
  receives: number;
}

export interface WorkerOptions {
  controllers: readonly AnyController[];
  context: ControllerContext;
  queue: Pick<FifoQueue, "hide">;
  later: ScheduleWork;
  /** Runs a reconcile whose writes carry this number of hops. */
  withHopCount<T>(hops: number, run: () => Promise<T>): Promise<T>;
}

const firstBackoff = 1;
const longestBackoff = 600;
/** Reconciles that trigger each other are slowed down from this number of hops on. */
const mostHops = 100;
const brake = 30_000;

/** Seconds until a key that has failed `failures` times in a row is retried. */
export const backoff = (failures: number): number => Math.min(firstBackoff * 2 ** (failures - 1), longestBackoff);

/**
 * Processes a batch. Messages of one group have the same key, and only the current state matters, so one reconcile
 * serves all of them. Resolves with the ids of messages to be retried: those of the groups that failed.
 */
export async function processBatch(taken: readonly QueueRecord[], options: WorkerOptions): Promise<string[]> {
  const groups = new Map<string, QueueRecord[]>();
  for (const each of taken) groups.set(each.group, [...(groups.get(each.group) ?? []), each]);
  const failed = await Promise.all([...groups.values()].map((group) => workOn(group, options)));
  return failed.flat();
}

async function workOn(group: QueueRecord[], options: WorkerOptions): Promise<string[]> {
  const { controllers, context, later } = options;
  const messages = group.flatMap(({ body }) => decodeMessage(body) ?? []);
  const [message] = messages;
  if (!message) {
    context.log.error("a malformed message is dropped", { body: group[0]!.body.slice(0, 200) });
    return [];
  }
  const controller = controllers.find(({ name }) => name === message.controller);
  if (!controller) {
    // While a new version is rolled out, keys of its new controllers reach the old one; they are retried until the new
    // one receives them. Keys of a removed controller end in the dead-letter queue, from which the tick deletes them.
    context.log.warn("a message is for a controller that this version does not have", about(message));
    return handBack(group, options.queue, context.log);
  }
  const hops = Math.max(...messages.map((each) => each.hops));
  if (hops >= mostHops) {
    context.log.warn("controllers wake each other in a circle: slowed down", { ...about(message), hops });
    await later(message, brake);
    return [];
  }
  try {
    const result = await options.withHopCount(hops + 1, () => reconcileKey(controller, context, message.key));
    if (result?.requeueAfter !== undefined) await later(message, result.requeueAfter);
    return [];
  } catch (error) {
    return settleFailure(group, message, error, options);
  }
}

const about = ({ controller, key }: Message) => ({ controller, namespace: key.namespace, name: key.name });

async function settleFailure(
  group: QueueRecord[],
  message: Message,
  error: unknown,
  { context, queue, later }: WorkerOptions,
): Promise<string[]> {
  const { log } = context;
  const fields = { ...about(message), error: messageOf(error) };
  if (error instanceof Terminal) {
    log.error("a key is given up after a terminal error", fields);
    return [];
  }
  if (error instanceof RetryAfter) {
    // Not a failure: received again and again it would end in the dead-letter queue.
    const isSet = await later(message, error.milliseconds).then(
      () => true,
      () => false,
    );
    if (isSet) return [];
  }
  log.warn("a key is retried", { ...fields, seconds: backoff(group[0]!.receives) });
  return handBack(group, queue, log);
}

/**
 * Makes the messages of one group visible again after the backoff. Resolves with their ids. SQS delivers nothing of a
 * group while one of its messages is in flight, so the visibility of all of them is changed.
 */
export async function handBack(
  group: readonly QueueRecord[],
  queue: Pick<FifoQueue, "hide">,
  log: Pick<Log, "warn">,
): Promise<string[]> {
  const seconds = backoff(group[0]?.receives ?? 1);
  const hide = ({ receipt }: QueueRecord): Promise<void> =>
    // Otherwise the message becomes visible when the queue's own visibility timeout ends: later, but not lost.
    queue.hide(receipt, seconds).catch((failure: unknown) => {
      log.warn("a message's visibility could not be changed", { error: messageOf(failure) });
    });
  await Promise.all(group.map(hide));
  return group.map(({ id }) => id);
}
