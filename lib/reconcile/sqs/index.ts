/**
 * The engine's queue where processes are short-lived: keys are messages of an SQS FIFO queue with one group per key.
 * The visibility timeout implements backoff; waits are in Step Functions or, if they are long, in an index by time.
 * Nothing here decides what is done for a key.
 */
export { type Announcer, announcer, type Happened, sentOf, wakeScheduler } from "./announce.ts";
export { type DueIndex, dynamoDueIndex } from "./due.ts";
export { formerNames } from "./former-names.ts";
export { decodeMessage, deduplicationOf, encodeMessage, groupOf, type Message } from "./message.ts";
export { backoff, handBack, processBatch, type QueueRecord, type WorkerOptions } from "./process-batch.ts";
export { type FifoQueue, type Received, type Sent, sqsQueue } from "./queue.ts";
export { dueMessage, dueTime, type ScheduleWork, type TimerOptions, timers } from "./timers.ts";
