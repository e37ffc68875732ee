import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { type Clock, sleep } from "#base";

/** What is put into a FIFO queue. */
export interface Sent {
  body: string;
  group: string;
  deduplication: string;
}

/** What was taken from a queue. */
export interface Received {
  body: string;
  receipt: string;
}

/** A FIFO queue. Every method rejects with the service's error when it has been tried in vain. */
export interface FifoQueue {
  send(messages: readonly Sent[]): Promise<void>;
  /** At most ten, without waiting. */
  receive(): Promise<Received[]>;
  remove(receipt: string): Promise<void>;
  /** A message that is being worked on comes again after so many seconds. */
  hide(receipt: string, seconds: number): Promise<void>;
}

const perRequest = 10;
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
      const batches = Math.ceil(messages.length / perRequest);
      for (let batch = 0; batch < batches; batch++) {
        await sendTen(messages.slice(batch * perRequest, (batch + 1) * perRequest));
      }
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
