/**
 * The engine's queue where no process lives long: keys as messages of an SQS FIFO queue, one group per key, backoff
 * by visibility, waits in Step Functions and, when they are long, in an index by time. It never decides what is done
 * for a key.
 */
export { type Announcer, announcer, type Happened, sentOf, wakeScheduler } from "./announce.ts";
export { type DueIndex, dynamoDueIndex } from "./due.ts";
export { formerNames } from "./former-names.ts";
export { decodeMessage, deduplicationOf, encodeMessage, groupOf, type Message } from "./message.ts";
export { backoff, handBack, processBatch, type QueueRecord, type WorkerOptions } from "./process-batch.ts";
export { type FifoQueue, type Received, type Sent, sqsQueue } from "./queue.ts";
export { dueMessage, dueTime, type ScheduleWork, type TimerOptions, timers } from "./timers.ts";
