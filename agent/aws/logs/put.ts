import {
  type CloudWatchLogsClient,
  CreateLogStreamCommand,
  type InputLogEvent,
  PutLogEventsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import { type Log, messageOf } from "#base";

/** Sends events to a stream of a log group; creates a missing stream. */
export type Put = (stream: string, events: InputLogEvent[]) => Promise<void>;

/** Events that the service always refuses are logged and omitted; other errors reject. */
export function putTo(logs: CloudWatchLogsClient, logGroupName: string, log: Log): Put {
  const create = async (logStreamName: string): Promise<void> => {
    await logs.send(new CreateLogStreamCommand({ logGroupName, logStreamName })).catch((error: Error) => {
      if (error.name !== "ResourceAlreadyExistsException") throw error;
    });
  };
  const once = async (logStreamName: string, logEvents: InputLogEvent[]): Promise<void> => {
    const { rejectedLogEventsInfo: rejected } = await logs.send(
      new PutLogEventsCommand({ logGroupName, logStreamName, logEvents }),
    );
    if (rejected) log.warn("events are too old or too new for the log group", { stream: logStreamName, ...rejected });
  };
  const put: Put = async (stream, events) => {
    try {
      await once(stream, events);
    } catch (error) {
      const { name } = error as Error;
      if (name === "ResourceNotFoundException") {
        await create(stream);
        await put(stream, events);
      } else if (name === "InvalidParameterException") {
        if (events.length > 1) {
          const half = Math.ceil(events.length / 2);
          await put(stream, events.slice(0, half));
          await put(stream, events.slice(half));
        } else log.warn("a line was refused by the log group", { stream, error: messageOf(error) });
      } else throw error;
    }
  };
  return put;
}
