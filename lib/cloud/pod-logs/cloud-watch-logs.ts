import { CloudWatchLogsClient, GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import type { PodLogs } from "./pod-logs.ts";

/** CloudWatch Logs. */
export const cloudWatchLogs = (client: Pick<CloudWatchLogsClient, "send"> = new CloudWatchLogsClient({})): PodLogs => ({
  async page(group, stream, { head, limit, start, token }) {
    const command = new GetLogEventsCommand({
      logGroupName: group,
      logStreamName: stream,
      startFromHead: head,
      limit,
      ...(start === undefined ? {} : { startTime: Math.max(0, start) }),
      ...(token === undefined ? {} : { nextToken: token }),
    });
    const read = await client.send(command).catch((error: Error) => {
      if (error.name === "ResourceNotFoundException") return undefined;
      throw error;
    });
    if (!read) return undefined;
    const events = (read.events ?? []).map(({ timestamp = 0, message = "" }) => ({ at: timestamp, text: message }));
    return { events, forward: read.nextForwardToken, backward: read.nextBackwardToken };
  },
});
