import { type Log, messageOf } from "#base";
import { type AnyController, type ControllerContext, RetryAfter, reconcileKey, Terminal } from "#reconcile";
import { decodeMessage, type Message } from "./message.ts";
import type { FifoQueue } from "./queue.ts";
import type { ScheduleWork } from "./timers.ts";

/** A message as the queue's event source hands it to a worker. */
export interface QueueRecord {
  id: string;
  body: string;
  group: string;
  receipt: string;
  /** How often it has been handed out, this time included. */
  receives: number;
}

export interface WorkerOptions {
  controllers: readonly AnyController[];
  context: ControllerContext;
  queue: Pick<FifoQueue, "hide">;
  later: ScheduleWork;
  /** Runs a reconcile so that its writes are known to come after so many hops. */
  withHopCount<T>(hops: number, run: () => Promise<T>): Promise<T>;
}

const firstBackoff = 1;
const longestBackoff = 600;
/** A chain of reconciles that wake each other is slowed down from here on. */
const mostHops = 100;
const brake = 30_000;

/** Seconds until a key that has failed `failures` times in a row is tried again. */
export const backoff = (failures: number): number => Math.min(firstBackoff * 2 ** (failures - 1), longestBackoff);

/**
 * Works a batch off. Messages of one group are for one key: what is, counts, so that one reconcile answers all of
 * them. Resolves with the ids of those that failed and of all later ones of their groups.
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
    context.log.error("a message cannot be read", { body: group[0]!.body.slice(0, 200) });
    return [];
  }
  const controller = controllers.find(({ name }) => name === message.controller);
  if (!controller) {
    // While a new version is rolled out, keys of its new controllers reach the old one: they wait for the new one. A
    // controller that is gone for good ends among the dead letters, where the tick drops them.
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
    log.error("a controller gave a key up", fields);
    return [];
  }
  if (error instanceof RetryAfter) {
    // No failure: handed out again and again it would end among the dead letters.
    const isSet = await later(message, error.milliseconds).then(
      () => true,
      () => false,
    );
    if (isSet) return [];
  }
  log.warn("a controller tries a key again", { ...fields, seconds: backoff(group[0]!.receives) });
  return handBack(group, queue, log);
}

/**
 * Has the messages of one group handed out again after the backoff, and resolves with their ids. SQS gives out nothing
 * of a group while a single one of its messages is in flight: so each is told, not the first alone.
 */
export async function handBack(
  group: readonly QueueRecord[],
  queue: Pick<FifoQueue, "hide">,
  log: Pick<Log, "warn">,
): Promise<string[]> {
  const seconds = backoff(group[0]?.receives ?? 1);
  const hide = ({ receipt }: QueueRecord): Promise<void> =>
    // Without it the message comes back when the queue's own visibility timeout ends: later, but it comes.
    queue.hide(receipt, seconds).catch((failure: unknown) => {
      log.warn("a message's visibility could not be changed", { error: messageOf(failure) });
    });
  await Promise.all(group.map(hide));
  return group.map(({ id }) => id);
}
