import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { type Clock, sleep } from "#base";

/** A message that is sent to a FIFO queue. */
export interface Sent {
  body: string;
  group: string;
  deduplication: string;
}

/** A message that was received from a queue. */
export interface Received {
  body: string;
  receipt: string;
}

/** A FIFO queue. Every method rejects with the service's error after its retries. */
export interface FifoQueue {
  send(messages: readonly Sent[]): Promise<void>;
  /** At most ten, without waiting. */
  receive(): Promise<Received[]>;
  remove(receipt: string): Promise<void>;
  /** Makes a message in flight visible again after so many seconds. */
  hide(receipt: string, seconds: number): Promise<void>;
}

const perRequest = 10;
/** Requests in flight at once: keys need no order, and a resync or a garbage collection may have thousands. */
const atOnce = 4;
const tries = 4;
const firstPause = 50;

/** A FIFO queue in SQS. */
export function sqsQueue(sqs: Pick<SQSClient, "send">, url: string, clock: Clock): FifoQueue {
  const sendTen = async (messages: readonly Sent[]): Promise<void> => {
    let left = messages;
    for (let attempt = 1; ; attempt++) {
      const answer = await sqs.send(
        new SendMessageBatchCommand({
          QueueUrl: url,
          Entries: left.map(({ body, group, deduplication }, place) => ({
            Id: String(place),
            MessageBody: body,
            MessageGroupId: group,
            MessageDeduplicationId: deduplication,
          })),
        }),
      );
      const failed = answer.Failed ?? [];
      if (failed.length === 0) return;
      left = failed.flatMap(({ Id }) => left[Number(Id)] ?? []);
      if (attempt === tries) throw new Error(`SQS did not take ${left.length} messages: ${failed[0]?.Message}`);
      await sleep(clock, firstPause * 2 ** attempt);
    }
  };
  return {
    async send(messages) {
      let next = 0;
      const work = async (): Promise<void> => {
        while (next < messages.length) {
          const batch = messages.slice(next, next + perRequest);
          next += perRequest;
          await sendTen(batch);
        }
      };
      // A function must not end while a request is in flight.
      const ends = await Promise.allSettled(Array.from({ length: atOnce }, work));
      for (const end of ends) if (end.status === "rejected") throw end.reason;
    },
    async receive() {
      const answer = await sqs.send(new ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: perRequest }));
      return (answer.Messages ?? []).map(({ Body = "", ReceiptHandle = "" }) => ({
        body: Body,
        receipt: ReceiptHandle,
      }));
    },
    async remove(receipt) {
      await sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle: receipt }));
    },
    async hide(receipt, seconds) {
      await sqs.send(
        new ChangeMessageVisibilityCommand({ QueueUrl: url, ReceiptHandle: receipt, VisibilityTimeout: seconds }),
      );
    },
  };
}
