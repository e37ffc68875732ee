import * as z from "zod";
import type { QueueRecord } from "#reconcile/sqs";

/** A batch of a FIFO queue. */
export const QueueEvent = z.object({
  Records: z.array(
    z.object({
      messageId: z.string().min(1),
      receiptHandle: z.string(),
      body: z.string(),
      attributes: z.object({ ApproximateReceiveCount: z.string(), MessageGroupId: z.string() }),
    }),
  ),
});

export const takenOf = ({ Records }: z.infer<typeof QueueEvent>): QueueRecord[] =>
  Records.map(({ messageId, receiptHandle, body, attributes }) => ({
    id: messageId,
    body,
    group: attributes.MessageGroupId,
    receipt: receiptHandle,
    receives: Number(attributes.ApproximateReceiveCount),
  }));

/** The answer that names the messages that failed; with an empty list all are done. */
export const failuresOf = (ids: readonly string[]) => ({
  batchItemFailures: ids.map((itemIdentifier) => ({ itemIdentifier })),
});
