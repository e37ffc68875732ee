import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { passes } from "./filters.ts";
import type { LambdaFunction } from "./runtime.ts";

/** Faults between a source and its function, drawn for each batch. */
export interface Weather {
  /** The batch is handed over once more. */
  again(): boolean;
  /** The records of a batch are handed over in this order. */
  order<T>(records: T[]): T[];
  /** Milliseconds before a batch is handed over. */
  delay(): number;
}

export const calm: Weather = { again: () => false, order: (records) => records, delay: () => 0 };

/** A poller of Lambda's: reads a source and invokes a function. */
export interface Poller {
  /** Records that were read and are not settled yet. */
  readonly busy: number;
  stop(): Promise<void>;
}

const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

export interface QueuePollerOptions {
  sqs: SQSClient;
  url: string;
  arn: string;
  function: LambdaFunction;
  batchSize: number;
  partialFailures: boolean;
  concurrency: number;
  weather: Weather;
}

/** Reads a FIFO queue; messages that the function does not report as failed are deleted. */
export function pollQueue(options: QueuePollerOptions): Poller {
  const { sqs, url, function: target, weather } = options;
  let stopped = false;
  let busy = 0;
  const work = async (): Promise<void> => {
    while (!stopped) {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: url,
          MaxNumberOfMessages: options.batchSize,
          MessageSystemAttributeNames: ["All"],
          WaitTimeSeconds: 1,
        }),
      );
      if (Messages.length === 0) continue;
      busy += Messages.length;
      const records = Messages.map((message) => ({
        messageId: message.MessageId,
        receiptHandle: message.ReceiptHandle,
        body: message.Body,
        attributes: message.Attributes,
        messageAttributes: {},
        eventSource: "aws:sqs",
        eventSourceARN: options.arn,
      }));
      await pause(weather.delay());
      try {
        if (weather.again()) await target.call({ Records: records });
        const answer = (await target.call({ Records: records })) as
          | { batchItemFailures?: { itemIdentifier: string }[] }
          | undefined;
        const failed = new Set((answer?.batchItemFailures ?? []).map(({ itemIdentifier }) => itemIdentifier));
        if (failed.size > 0 && !options.partialFailures) throw new Error("failures are not to be reported one by one");
        for (const { MessageId, ReceiptHandle } of Messages) {
          if (failed.has(MessageId!)) continue;
          await sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle }));
        }
      } catch {
        // The whole batch is delivered again when it becomes visible: sooner here than by Lambda.
        for (const { ReceiptHandle } of Messages) {
          const again = { QueueUrl: url, ReceiptHandle, VisibilityTimeout: 1 };
          await sqs.send(new ChangeMessageVisibilityCommand(again)).catch(() => {});
        }
      } finally {
        busy -= Messages.length;
      }
    }
  };
  const working = Promise.all(Array.from({ length: options.concurrency }, work));
  return {
    get busy() {
      return busy;
    },
    async stop() {
      stopped = true;
      await working;
    },
  };
}

export interface StreamPollerOptions {
  /** The endpoint of the tables. */
  endpoint: string;
  table: string;
  function: LambdaFunction;
  batchSize: number;
  filters: readonly Record<string, unknown>[];
  weather: Weather;
}

interface StreamRecord {
  eventID: string;
  eventName: string;
  dynamodb: { SequenceNumber: string; NewImage?: Record<string, unknown> };
}

/** Reads the stream of a table from its beginning; a batch that fails is handed over again and again. */
export function pollStream(options: StreamPollerOptions): Poller {
  const { endpoint, table, function: target, weather } = options;
  let stopped = false;
  let busy = 0;
  // biome-ignore lint/suspicious/noExplicitAny: the service's answers
  const ask = async (target_: string, input: unknown): Promise<any> => {
    const answer = await fetch(endpoint, {
      method: "POST",
      headers: {
        "x-amz-target": `DynamoDBStreams_20120810.${target_}`,
        "content-type": "application/x-amz-json-1.0",
        "x-amz-date": "20300101T000000Z",
        authorization:
          "AWS4-HMAC-SHA256 Credential=local/20300101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
      },
      body: JSON.stringify(input),
    });
    const read = await answer.json();
    if (!answer.ok) throw new Error(`${target_}: ${JSON.stringify(read)}`);
    return read;
  };
  const follow = async (StreamArn: string, ShardId: string): Promise<void> => {
    let { ShardIterator } = await ask("GetShardIterator", { StreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" });
    while (!stopped && ShardIterator) {
      const { Records = [], NextShardIterator } = await ask("GetRecords", { ShardIterator, Limit: options.batchSize });
      ShardIterator = NextShardIterator;
      const wanted = (Records as StreamRecord[]).filter(
        (record) => options.filters.length === 0 || options.filters.some((filter) => passes(filter, record)),
      );
      if (wanted.length === 0) {
        await pause(20);
        continue;
      }
      busy += wanted.length;
      await pause(weather.delay());
      if (weather.again()) await target.call({ Records: wanted }).catch(() => {});
      for (let isDone = false; !isDone && !stopped; ) {
        isDone = await target.call({ Records: weather.order(wanted) }).then(
          () => true,
          () => false,
        );
      }
      busy -= wanted.length;
    }
  };
  const run = async (): Promise<void> => {
    const { Streams } = await ask("ListStreams", { TableName: table });
    const { StreamArn } = Streams[0];
    const { StreamDescription } = await ask("DescribeStream", { StreamArn });
    await Promise.all(StreamDescription.Shards.map(({ ShardId }: { ShardId: string }) => follow(StreamArn, ShardId)));
  };
  const running = run();
  return {
    get busy() {
      return busy;
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}
