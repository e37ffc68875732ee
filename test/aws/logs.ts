import { type Service, ServiceError } from "./cloud.ts";

interface Event {
  timestamp: number;
  message: string;
}

/** CloudWatch Logs as far as containers' logs need it, with the bounds that its documents name. */
export interface LogsService {
  service: Service;
  /** The content of a stream, by its name. */
  readonly streams: ReadonlyMap<string, readonly Event[]>;
}

const batchBytes = 1_048_576;
const perEvent = 26;
const most = 10_000;
/** Pages are small, so that every reader needs several. */
const pageSize = 100;

export function logsService(groups: readonly string[]): LogsService {
  const streams = new Map<string, Event[]>();
  const find = (name: string): Event[] => {
    const stream = streams.get(name);
    if (!stream) throw new ServiceError("ResourceNotFoundException", "The specified log stream does not exist.");
    return stream;
  };
  const put = (stream: string, events: Event[]): void => {
    const into = find(stream);
    const bytes = events.reduce((sum, { message }) => sum + Buffer.byteLength(message) + perEvent, 0);
    const isOrdered = events.every(({ timestamp }, at) => at === 0 || timestamp >= events[at - 1]!.timestamp);
    if (events.length === 0 || events.length > most || bytes > batchBytes || !isOrdered)
      throw new ServiceError("InvalidParameterException", "the batch is empty, too large or not in order");
    if (events.some(({ message }) => message === ""))
      throw new ServiceError("InvalidParameterException", "Member must have length greater than or equal to 1");
    into.push(...events);
    into.sort((a, b) => a.timestamp - b.timestamp);
  };
  const get = (input: Record<string, unknown>) => {
    const all = find(String(input["logStreamName"]));
    const [, direction, place] = /^([fb])\/(\d+)$/.exec(String(input["nextToken"] ?? "")) ?? [];
    const start = Number(input["startTime"] ?? 0);
    const lowest = all.filter(({ timestamp }) => timestamp < start).length;
    const limit = Math.min(Number(input["limit"] ?? most), pageSize);
    if (direction === "f" && input["startFromHead"] !== true)
      throw new ServiceError("InvalidParameterException", "a forward token is for reading forward");
    if (direction === "f" || (direction === undefined && input["startFromHead"] === true)) {
      const first = Math.max(lowest, Number(place ?? 0));
      const last = Math.min(all.length, first + limit);
      return { events: all.slice(first, last), nextForwardToken: `f/${last}`, nextBackwardToken: `b/${first}` };
    }
    const last = Math.max(lowest, Number(place ?? all.length));
    const first = Math.max(lowest, last - limit);
    return { events: all.slice(first, last), nextForwardToken: `f/${last}`, nextBackwardToken: `b/${first}` };
  };
  const service: Service = async (action, input) => {
    const stream = String(input["logStreamName"] ?? "");
    if (!groups.includes(String(input["logGroupName"])))
      throw new ServiceError("ResourceNotFoundException", "The specified log group does not exist.");
    if (action === "CreateLogStream") {
      if (!/^[^:*]{1,512}$/.test(stream)) throw new ServiceError("InvalidParameterException", "the stream's name");
      if (streams.has(stream)) throw new ServiceError("ResourceAlreadyExistsException");
      streams.set(stream, []);
      return {};
    }
    if (action === "PutLogEvents") {
      put(stream, input["logEvents"] as Event[]);
      return {};
    }
    if (action === "GetLogEvents") return get(input);
    throw new ServiceError("UnknownOperationException", action);
  };
  return { service, streams };
}
