import { type FileHandle, mkdir, open, readdir, readFile, truncate } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ignoreMissing } from "#agent/runtime";
import { rotateLog } from "#agent/runtime/logs";
import { type Clock, type Log, messageOf, sleep } from "#base";
import type { Engine } from "./engine.ts";
import { type Details, isRunning, marks } from "./items.ts";
import { entrySplitter, nanosecondsOf, type OutputEntry } from "./log-entries.ts";

export interface LogFilesOptions {
  engine: Engine;
  clock: Clock;
  log: Log;
  /** When a file is rotated, and how many are kept. */
  limits: { maxBytes: number; maxFiles: number };
}

/** Where a file ends: the time of its last entry, and how many entries have this time. */
interface Position {
  nanoseconds: bigint;
  count: number;
}

const retryMilliseconds = 500;
/** How long the removal of a container waits for the rest of its output. */
const drainMilliseconds = 10_000;

/**
 * Writes the output of containers, which the engine stores in its own way, to the pods' log files in the CRI's format.
 * A file is its own record: after a restart of the agent, output goes on behind the last entry in it. Output that the
 * engine has rotated away while no agent ran is lost.
 */
export class LogFiles {
  readonly #options: LogFilesOptions;
  readonly #followed = new Map<string, Promise<void>>();
  readonly #complete = new Set<string>();
  readonly #stop = new AbortController();

  constructor(options: LogFilesOptions) {
    this.#options = options;
  }

  /** Follows the output of a container to its end, once. Never rejects. */
  follow(id: string): Promise<void> {
    const present = this.#followed.get(id);
    if (present) return present;
    const following = this.#followToEnd(id).catch((error) => {
      const { log } = this.#options;
      if (!this.#stop.signal.aborted) log.warn("a container's log cannot be written", { id, error: messageOf(error) });
      this.#followed.delete(id);
    });
    this.#followed.set(id, following);
    return following;
  }

  /** Resolves when the file of an ended container is complete; at once while it runs. */
  async caughtUp(id: string): Promise<void> {
    const details = await this.#find(id);
    if (details && !isRunning(details.State.Status)) await this.follow(id);
  }

  /** Whether the container has ended and its file has all its output. */
  async isComplete(id: string): Promise<boolean> {
    if (this.#complete.has(id)) return true;
    const details = await this.#find(id);
    if (!details) return true;
    void this.follow(id);
    return false;
  }

  /** Waits for the rest of an ended container's output, but not for long, and forgets the container. */
  async drained(id: string): Promise<void> {
    const enough = new AbortController();
    await Promise.race([this.caughtUp(id), sleep(this.#options.clock, drainMilliseconds, enough.signal)]);
    enough.abort();
    this.#followed.delete(id);
    this.#complete.delete(id);
  }

  close(): void {
    this.#stop.abort();
  }

  #find(id: string): Promise<Details | undefined> {
    return ignoreMissing(this.#options.engine.json<Details>("GET", `/containers/${id}/json`));
  }

  async #followToEnd(id: string): Promise<void> {
    let file: LogWriter | undefined;
    const { signal } = this.#stop;
    try {
      while (!signal.aborted) {
        const details = await this.#find(id);
        const path = details?.Config.Labels[marks.logPath] ?? "";
        if (!details || path === "") break;
        file ??= await LogWriter.open(path, this.#options);
        const follow = isRunning(details.State.Status);
        try {
          await this.#copy(id, { file, follow, tty: details.Config.Tty });
          if (!follow) break;
        } catch (error) {
          if (signal.aborted) return;
          this.#options.log.debug("a container's output is read again", { id, error: messageOf(error) });
          await sleep(this.#options.clock, retryMilliseconds, signal);
        }
      }
      if (!signal.aborted) this.#complete.add(id);
    } finally {
      await file?.close();
    }
  }

  async #copy(id: string, { file, follow, tty }: { file: LogWriter; follow: boolean; tty: boolean }): Promise<void> {
    const query = { follow, stdout: true, stderr: true, timestamps: true, since: file.sinceSeconds };
    const { signal } = this.#stop;
    const response = await this.#options.engine.stream("GET", `/containers/${id}/logs`, { query, signal, timeout: 0 });
    const split = entrySplitter(tty);
    file.beginPass();
    for await (const chunk of response as AsyncIterable<Buffer>) await file.append(split(chunk));
  }
}

/** One log file. Entries at or before its end are skipped, since the engine repeats them. */
class LogWriter {
  readonly #path: string;
  readonly #options: LogFilesOptions;
  #handle: FileHandle;
  #size: number;
  #end: Position;
  /** How many entries with the time of the end a pass repeats. */
  #repeated = 0;

  private constructor(path: string, options: LogFilesOptions, handle: FileHandle, size: number, end: Position) {
    this.#path = path;
    this.#options = options;
    this.#handle = handle;
    this.#size = size;
    this.#end = end;
  }

  static async open(path: string, options: LogFilesOptions): Promise<LogWriter> {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    const end = await endOf(path);
    const handle = await open(path, "a", 0o640);
    return new LogWriter(path, options, handle, (await handle.stat()).size, end);
  }

  /** The engine skips what is older than this many seconds since the epoch. */
  get sinceSeconds(): number {
    return Number(this.#end.nanoseconds / 1_000_000_000n);
  }

  beginPass(): void {
    this.#repeated = this.#end.count;
  }

  async append(entries: readonly OutputEntry[]): Promise<void> {
    const parts: Buffer[] = [];
    for (const entry of entries) {
      if (entry.nanoseconds < this.#end.nanoseconds) continue;
      if (entry.nanoseconds === this.#end.nanoseconds) {
        if (this.#repeated-- > 0) continue;
        this.#end.count++;
      } else this.#end = { nanoseconds: entry.nanoseconds, count: 1 };
      this.#repeated = 0;
      parts.push(entry.line);
    }
    if (parts.length === 0) return;
    const bytes = Buffer.concat(parts);
    await this.#handle.appendFile(bytes);
    this.#size += bytes.length;
    if (this.#size > this.#options.limits.maxBytes) await this.#rotate();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async #rotate(): Promise<void> {
    const reopen = async (): Promise<void> => {
      const next = await open(this.#path, "a", 0o640);
      await this.#handle.close();
      this.#handle = next;
      this.#size = (await next.stat()).size;
    };
    await rotateLog({ path: this.#path, ...this.#options.limits, now: this.#options.clock.now(), reopen });
  }
}

/** The end of a log; a piece of a line that a crash left is cut off. Of a log just rotated, the end of the last file. */
async function endOf(path: string): Promise<Position> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  const whole = bytes.lastIndexOf(10) + 1;
  if (whole < bytes.length) await truncate(path, whole);
  if (whole > 0) return positionIn(bytes.subarray(0, whole));
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path)).catch(() => [] as string[]);
  const last = names
    .filter((name) => name.startsWith(prefix))
    .sort()
    .at(-1);
  if (last === undefined) return { nanoseconds: 0n, count: 0 };
  return positionIn(await readFile(join(dirname(path), last)).catch(() => Buffer.alloc(0)));
}

function positionIn(bytes: Buffer): Position {
  const lines = bytes.toString("latin1").trimEnd().split("\n");
  const times = lines.map((line) => line.split(" ", 1)[0]!);
  const last = times.at(-1) ?? "";
  return { nanoseconds: nanosecondsOf(last), count: times.filter((time) => time === last).length };
}
