import { Duration, aws_sqs as sqs } from "aws-cdk-lib";
import type { Construct } from "constructs";

const encrypted = { encryption: sqs.QueueEncryption.SQS_MANAGED, enforceSSL: true };
/** SQS's longest retention: messages in a dead-letter queue wait for an operator. */
const kept = Duration.days(14);

/** A queue for failures: encrypted, TLS only. */
export const deadLetters = (scope: Construct, id: string): sqs.Queue =>
  new sqs.Queue(scope, id, { ...encrypted, retentionPeriod: kept });

/** Receives of a message before it is moved to the dead letters. */
const attempts = 8;

/** A FIFO queue of keys, in order within a group and as fast as groups allow; its dead letters are FIFO too. */
export function keyQueue(
  scope: Construct,
  id: string,
  { visibility }: { visibility: Duration },
): { queue: sqs.Queue; dead: sqs.Queue } {
  const fifo = { ...encrypted, fifo: true, contentBasedDeduplication: false };
  const dead = new sqs.Queue(scope, `${id}Dead`, { ...fifo, retentionPeriod: kept });
  const queue = new sqs.Queue(scope, id, {
    ...fifo,
    deduplicationScope: sqs.DeduplicationScope.MESSAGE_GROUP,
    fifoThroughputLimit: sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
    visibilityTimeout: visibility,
    retentionPeriod: Duration.days(4),
    deadLetterQueue: { queue: dead, maxReceiveCount: attempts },
  });
  return { queue, dead };
}
