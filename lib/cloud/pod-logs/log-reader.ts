import { type Clock, sleep } from "#base";
import type { Asked, Page, PodLogs } from "./pod-logs.ts";

/** What is wanted of a container's log, in upstream's terms. Times are milliseconds since the epoch. */
export interface LogQuery {
  follow: boolean;
  timestamps: boolean;
  since?: number | undefined;
  tailLines?: number;
  limitBytes?: number;
}

export interface LogSource {
  logs: PodLogs;
  group: string;
  /** The stream of one run of a container. It may not be there yet: a container that says nothing has none. */
  stream: string;
  clock: Clock;
  /** Whether the container can still say something. Asked now and then while following. */
  runs(): Promise<boolean>;
}

const pollMilliseconds = 1000;
/** How often it is asked whether the container runs. */
const runsMilliseconds = 4000;
/** What an ended container has said is here after so long. */
const settleMilliseconds = 6000;
/** A function may stream for 15 minutes. */
const longestFollow = 14 * 60_000;
const pageLimit = 10_000;

/** A page of a stream; undefined when the stream is not there. */
const page = (
  { logs, group, stream }: LogSource,
  asked: Partial<Asked> & { head: boolean },
): Promise<Page | undefined> => logs.page(group, stream, { limit: pageLimit, ...asked });

/**
 * A container's log as `kubectl logs` prints it, page by page: memory holds no more than one. With `follow` it goes on
 * until the container has ended, the signal aborts, or the function's time is over.
 */
export async function* readLog(source: LogSource, query: LogQuery, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let left = query.limitBytes ?? Number.POSITIVE_INFINITY;
  for await (const events of eventsOf(source, query, signal)) {
    const text = events.map((event) => `${query.timestamps ? stampOf(event.at) : ""}${lineOf(event.text)}\n`).join("");
    const bytes = Buffer.from(text);
    if (bytes.length > 0) yield bytes.subarray(0, left);
    left -= bytes.length;
    if (left <= 0) return;
  }
}

/** Upstream's nine digits; the service keeps three. */
const stampOf = (at: number): string => `${new Date(at).toISOString().slice(0, -1)}000000Z `;
/** An event has at least one character: an empty line is kept as a blank. */
const lineOf = (text: string): string => (text === " " ? "" : text.replace(/\r?\n$/, ""));

async function* eventsOf(source: LogSource, query: LogQuery, signal: AbortSignal): AsyncGenerator<Page["events"]> {
  const { clock } = source;
  const start = query.since;
  const end = clock.now() + longestFollow;
  let token: string | undefined;
  if (query.tailLines !== undefined) {
    const tail = await tailOf(source, query.tailLines, start, signal);
    token = tail?.forward;
    if (tail) yield tail.events;
  }
  let asked = clock.now();
  let endedAt: number | undefined;
  while (!signal.aborted) {
    const read = await page(source, { head: true, start, token });
    if (read && read.events.length > 0) yield read.events;
    // The end of a stream is where the token stays the same.
    const more = read !== undefined && read.forward !== token;
    token = read?.forward ?? token;
    if (more) {
      if (endedAt !== undefined && read.events.length > 0) endedAt = clock.now();
      continue;
    }
    if (!query.follow || clock.now() >= end) return;
    if (endedAt === undefined && clock.now() - asked >= runsMilliseconds) {
      asked = clock.now();
      if (!(await source.runs())) endedAt = clock.now();
    }
    if (endedAt !== undefined && clock.now() - endedAt >= settleMilliseconds) return;
    await sleep(clock, pollMilliseconds, signal);
  }
}

/** The page with which the last lines begin, without those before; what comes after it is read forward from there. */
async function tailOf(
  source: LogSource,
  lines: number,
  start: number | undefined,
  signal: AbortSignal,
): Promise<Page | undefined> {
  let wanted = lines;
  let token: string | undefined;
  let found: Page | undefined;
  while (!signal.aborted) {
    const limit = Math.min(Math.max(wanted, 1), pageLimit);
    const read = await page(source, { head: false, start, token, limit });
    if (!read || (found && read.backward === token && read.events.length === 0)) return found;
    // An empty page is no end: what is there may come in the next.
    if (read.events.length > 0 || !found) found = read;
    wanted -= read.events.length;
    if (wanted <= 0) return { ...read, events: read.events.slice(Math.min(-wanted, read.events.length)) };
    if (read.backward === token) return found;
    token = read.backward;
  }
  return found;
}
