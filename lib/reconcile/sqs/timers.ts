import { createHash } from "node:crypto";
import { type SFNClient, StartExecutionCommand } from "@aws-sdk/client-sfn";
import { type Clock, formatTime } from "#base";
import { encodeKey, type Work } from "#reconcile";
import type { DueIndex } from "./due.ts";
import { firstName } from "./former-names.ts";
import { deduplicationOf, encodeMessage, groupOf, type Message } from "./message.ts";
import type { FifoQueue } from "./queue.ts";

export interface TimerOptions {
  sfn: Pick<SFNClient, "send">;
  /** The state machine that waits until `until` and then sends to the queue. */
  machine: string;
  queue: FifoQueue;
  /** The queue's URL, which the state machine sends to. */
  queueUrl: string;
  due: DueIndex;
  clock: Clock;
}

/** Triggers a key after so many milliseconds. */
export type ScheduleWork = (work: Work, milliseconds: number) => Promise<void>;

/**
 * Waits up to this, in milliseconds, run in a state machine; longer ones are stored in the due index and end up to a
 * minute late.
 */
const longestWait = 90_000;
const coarseFrom = 10_000;

/** When a wait ends: rounded up to a second, or to five beyond ten, so that waits for one key coincide. */
export function dueTime(now: number, milliseconds: number): number {
  const grid = milliseconds > coarseFrom ? 5000 : 1000;
  return Math.ceil((now + milliseconds) / grid) * grid;
}

/** The message that triggers a key at a time; it depends on nothing else. */
export const dueMessage = (work: Work, at: number): Message => ({ ...work, cause: `due@${at}`, hops: 0 });

const nameOf = ({ controller, key }: Work, at: number): string =>
  createHash("sha256")
    .update(`${firstName(controller)}\n${encodeKey(key)}\n${at}`)
    .digest("hex");

/**
 * Timers in Step Functions and the due index. The name of an execution is a hash of its key and time, and its input
 * depends on nothing else: starting it twice is the same as once.
 */
export function timers({ sfn, machine, queue, queueUrl, due, clock }: TimerOptions): ScheduleWork {
  return async (work, milliseconds) => {
    const at = dueTime(clock.now(), Math.max(milliseconds, 0));
    const message = dueMessage(work, at);
    const sent = { body: encodeMessage(message), group: groupOf(work), deduplication: deduplicationOf(message) };
    if (at <= clock.now()) return queue.send([sent]);
    if (milliseconds > longestWait) return due.put(work, at);
    const input = JSON.stringify({
      until: formatTime(at),
      queueUrl,
      body: sent.body,
      group: sent.group,
      dedup: sent.deduplication,
    });
    try {
      await sfn.send(new StartExecutionCommand({ stateMachineArn: machine, name: nameOf(work, at), input }));
    } catch (error) {
      if ((error as Error).name !== "ExecutionAlreadyExists") throw error;
      // It has run or failed, since the time may have passed meanwhile.
      if (at <= clock.now()) await queue.send([sent]);
    }
  };
}
