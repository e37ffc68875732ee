/** What an execution of the waiting state machine is given. The instant is in ISO 8601. */
export interface WaitInput {
  until: string;
  queueUrl: string;
  body: string;
  group: string;
  dedup: string;
}

/**
 * Waits until an instant, then sends one message to a FIFO queue. Standard, since only that starts a name once. What
 * SQS refuses for a while is tried again for about two minutes; then the execution fails, and the tick's resync is the
 * net.
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
