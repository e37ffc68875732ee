/** The input of the waiting state machine. The time is in ISO 8601. */
export interface WaitInput {
  until: string;
  queueUrl: string;
  body: string;
  group: string;
  dedup: string;
}

/**
 * Waits until a time, then sends one message to a FIFO queue. Standard, since only Standard workflows start a name
 * once. Temporary errors of SQS are retried for about two minutes; then the execution fails, and the tick's resync
 * replaces it.
 */
export const waitDefinition = (partition: string) => ({
  Comment: "Puts a key back into its queue when its time has come",
  StartAt: "Wait",
  States: {
    Wait: { Type: "Wait", TimestampPath: "$.until", Next: "Send" },
    Send: {
      Type: "Task",
      Resource: `arn:${partition}:states:::sqs:sendMessage`,
      Parameters: {
        "QueueUrl.$": "$.queueUrl",
        "MessageBody.$": "$.body",
        "MessageGroupId.$": "$.group",
        "MessageDeduplicationId.$": "$.dedup",
      },
      ResultPath: null,
      Retry: [
        { ErrorEquals: ["States.ALL"], IntervalSeconds: 2, MaxAttempts: 6, BackoffRate: 2, JitterStrategy: "FULL" },
      ],
      End: true,
    },
  },
});
