import { type Clock, sleep } from "#base";
import type { Page, PageRequest, PodLogs } from "./pod-logs.ts";

/** The requested part of a container's log, in upstream's terms. Times are milliseconds since the epoch. */
export interface LogQuery {
  follow: boolean;
  timestamps: boolean;
  since?: number | undefined;
  tailLines?: number | undefined;
  limitBytes?: number | undefined;
}

export interface LogSource {
  logs: PodLogs;
  group: string;
  /** The stream of one run of a container. It may not exist yet: a container without output has none. */
  stream: string;
  clock: Clock;
  /** Whether the container still runs. Called from time to time while following. */
  runs(): Promise<boolean>;
}

const pollMilliseconds = 1000;
/** The interval of `runs` calls. */
const runsMilliseconds = 4000;
/** The output of an ended container has arrived after this time. */
const settleMilliseconds = 6000;
/** A function may stream for 15 minutes. */
const longestFollow = 14 * 60_000;
const pageLimit = 10_000;

/** A page of a stream; undefined when the stream does not exist. */
const page = (
  { logs, group, stream }: LogSource,
  request: Partial<PageRequest> & { head: boolean },
): Promise<Page | undefined> => logs.page(group, stream, { limit: pageLimit, ...request });

/**
 * A container's log as `kubectl logs` prints it, page by page: at most one is in memory. With `follow` it continues
 * until the container has ended, the signal aborts, or 14 minutes have passed.
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

/** A timestamp with nine digits, as upstream's; the service stores three. */
const stampOf = (at: number): string => `${new Date(at).toISOString().slice(0, -1)}000000Z `;
/** An event has at least one character: an empty line is stored as a blank. */
const lineOf = (text: string): string => (text === " " ? "" : text.replace(/\r?\n$/, ""));

async function* eventsOf(source: LogSource, query: LogQuery, signal: AbortSignal): AsyncGenerator<Page["events"]> {
  const { clock } = source;
  const start = query.since;
  const end = clock.now() + longestFollow;
  let token: string | undefined;
  if (query.tailLines !== undefined) {
    const tail = await tailOf(source, { lines: query.tailLines, start }, signal);
    token = tail?.forward;
    if (tail) yield tail.events;
  }
  let checkedAt = clock.now();
  let endedAt: number | undefined;
  while (!signal.aborted) {
    const read = await page(source, { head: true, start, token });
    if (read && read.events.length > 0) yield read.events;
    // At the end of a stream the token stays the same.
    const more = read !== undefined && read.forward !== token;
    token = read?.forward ?? token;
    if (more) {
      if (endedAt !== undefined && read.events.length > 0) endedAt = clock.now();
      continue;
    }
    if (!query.follow || clock.now() >= end) return;
    if (endedAt === undefined && clock.now() - checkedAt >= runsMilliseconds) {
      checkedAt = clock.now();
      if (!(await source.runs())) endedAt = clock.now();
    }
    if (endedAt !== undefined && clock.now() - endedAt >= settleMilliseconds) return;
    await sleep(clock, pollMilliseconds, signal);
  }
}

/** The page that contains the first of the last lines, from that line on. Later pages are read forward from it. */
async function tailOf(
  source: LogSource,
  { lines, start }: { lines: number; start: number | undefined },
  signal: AbortSignal,
): Promise<Page | undefined> {
  let missing = lines;
  let token: string | undefined;
  let found: Page | undefined;
  while (!signal.aborted) {
    const limit = Math.min(Math.max(missing, 1), pageLimit);
    const read = await page(source, { head: false, start, token, limit });
    if (!read || (found && read.backward === token && read.events.length === 0)) return found;
    // An empty page is not the end: the next may have events.
    if (read.events.length > 0 || !found) found = read;
    missing -= read.events.length;
    if (missing <= 0) return { ...read, events: read.events.slice(Math.min(-missing, read.events.length)) };
    if (read.backward === token) return found;
    token = read.backward;
  }
  return found;
}
