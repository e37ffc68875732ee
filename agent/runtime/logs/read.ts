import { type FSWatcher, watch } from "node:fs";
import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type LogEntry, lineSplitter, parseLogLine } from "./line.ts";

export interface LogFile {
  /** The file that is being written. Rotated files are in the same folder as `<path>.<time>`. */
  path: string;
  follow?: boolean | undefined;
  tailLines?: number | undefined;
  /** Whether the writer has ended, so that following may end. */
  ended: () => Promise<boolean>;
  signal?: AbortSignal | undefined;
}

const blockBytes = 64 * 1024;
/** A follower polls this often; file notifications make it faster. */
const pollMilliseconds = 1000;

/**
 * Entries of a log in order, in batches, rotated files first. With `follow` it continues over rotations until the
 * writer has ended and everything is read, or the signal aborts. Otherwise it ends at the file's present end: a busy
 * writer neither makes it endless nor adds lines to the tail (`limitedMode` of cri-client's ReadLogs). A missing file
 * counts as empty.
 */
export async function* readLogFile(file: LogFile): AsyncGenerator<LogEntry[]> {
  let files = await filesOf(file.path);
  let offset = 0;
  const until = file.follow ? Number.POSITIVE_INFINITY : await sizeOf(file.path);
  if (file.tailLines !== undefined) ({ files, offset } = await tailStart(files, file.tailLines, until));
  const past = files.filter((path) => path !== file.path);
  for (const path of past) {
    yield* readToEnd(path, offset);
    offset = 0;
  }
  if (!file.follow) {
    yield* readToEnd(file.path, offset, until);
    return;
  }
  yield* followFile(file, offset);
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

/** Rotated files, oldest first, then the current one. */
async function filesOf(path: string): Promise<string[]> {
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path)).catch(() => [] as string[]);
  const rotated = names.filter((name) => name.startsWith(prefix) && /^\d{8}-\d{6}/.test(name.slice(prefix.length)));
  return [...rotated.sort().map((name) => join(dirname(path), name)), path];
}

/**
 * The start of the last `lines` lines: the files from there on and the offset in the first of them. Bytes of the last
 * file beyond `until` do not count.
 */
async function tailStart(files: string[], lines: number, until: number): Promise<{ files: string[]; offset: number }> {
  let missing = lines;
  for (let index = files.length - 1; index >= 0; index--) {
    const handle = await open(files[index]!).catch(() => undefined);
    if (!handle) continue;
    try {
      const end = index === files.length - 1 ? until : Number.POSITIVE_INFINITY;
      const found = await scanBack(handle, missing, end);
      if (found.offset !== undefined) return { files: files.slice(index), offset: found.offset };
      missing = found.missing;
    } finally {
      await handle.close();
    }
  }
  return { files, offset: 0 };
}

/** Finds the start of the last `lines` lines; `missing` of them are in earlier files. */
async function scanBack(
  handle: FileHandle,
  lines: number,
  until: number,
): Promise<{ offset?: number; missing: number }> {
  const size = Math.min((await handle.stat()).size, until);
  if (lines <= 0) return { offset: size, missing: lines };
  const block = Buffer.alloc(blockBytes);
  let missing = lines;
  let later: Buffer = Buffer.alloc(0);
  // Only newlines of full entries count, since the pieces of one line are one line.
  let end = size;
  let lineEnd = size;
  while (end > 0) {
    const start = Math.max(0, end - blockBytes);
    const { bytesRead } = await handle.read(block, 0, end - start, start);
    const bytes = Buffer.concat([block.subarray(0, bytesRead), later.subarray(0, 128)]);
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (bytes[at] !== 10) continue;
      const next = start + at + 1;
      if (next < size && isFull(bytes.subarray(at + 1, at + 1 + Math.min(128, lineEnd - next)))) {
        // `next` is the start of a full line's last piece; the line may start earlier, with other pieces.
        missing--;
        if (missing < 0) return { offset: lineEnd, missing: 0 };
      }
      lineEnd = next;
    }
    later = Buffer.from(bytes.subarray(0, 128));
    end = start;
  }
  if (size > 0 && isFull(later.subarray(0, Math.min(128, lineEnd)))) missing--;
  if (missing < 0) return { offset: lineEnd, missing: 0 };
  return { missing };
}

/** Whether the piece that begins here ends its line. */
const isFull = (head: Buffer): boolean => parseLogLine(head)?.partial !== true;

async function* readToEnd(path: string, from: number, until = Number.POSITIVE_INFINITY): AsyncGenerator<LogEntry[]> {
  const handle = await open(path).catch(() => undefined);
  if (!handle) return;
  try {
    yield* drain(handle, { offset: from, split: lineSplitter() }, until);
  } finally {
    await handle.close();
  }
}

interface Cursor {
  offset: number;
  split: (chunk: Buffer) => Buffer[];
}

async function* drain(
  handle: FileHandle,
  cursor: Cursor,
  until = Number.POSITIVE_INFINITY,
): AsyncGenerator<LogEntry[]> {
  for (;;) {
    const block = Buffer.allocUnsafe(blockBytes);
    const wanted = Math.min(blockBytes, until - cursor.offset);
    if (wanted <= 0) return;
    const { bytesRead } = await handle.read(block, 0, wanted, cursor.offset);
    if (bytesRead === 0) return;
    cursor.offset += bytesRead;
    const entries = cursor
      .split(block.subarray(0, bytesRead))
      .map(parseLogLine)
      .filter((entry) => entry !== undefined);
    if (entries.length > 0) yield entries;
  }
}

async function* followFile(file: LogFile, from: number): AsyncGenerator<LogEntry[]> {
  const changes = new DirectoryChanges(dirname(file.path));
  let handle = await open(file.path).catch(() => undefined);
  let cursor: Cursor = { offset: from, split: lineSplitter() };
  try {
    while (!file.signal?.aborted) {
      const before = changes.count;
      // Checked before the last read, so that this read includes everything that was written before the end.
      const ended = await file.ended();
      const rotated = await isRotated(file.path, handle);
      if (handle) yield* drain(handle, cursor);
      if (rotated) {
        await handle?.close();
        handle = await open(file.path).catch(() => undefined);
        cursor = { offset: 0, split: lineSplitter() };
        continue;
      }
      if (ended) return;
      await changes.next(before, file.signal);
    }
  } finally {
    changes.close();
    await handle?.close();
  }
}

/**
 * Whether the path is another file than the open one. A missing file has been moved and not been created again yet.
 */
async function isRotated(path: string, handle: FileHandle | undefined): Promise<boolean> {
  const now = await stat(path).catch(() => undefined);
  if (!now) return false;
  if (!handle) return true;
  return (await handle.stat()).ino !== now.ino;
}

/** Counts the changes in a directory. Without notifications by the system only the poll interval works. */
class DirectoryChanges {
  #count = 0;
  #wake = () => {};
  #watcher: FSWatcher | undefined;

  constructor(path: string) {
    try {
      const watcher = watch(path, { persistent: false }, () => {
        this.#count++;
        this.#wake();
      });
      watcher.on("error", () => watcher.close());
      this.#watcher = watcher;
    } catch {
      // Too many watches, or no directory yet: polling is enough.
    }
  }

  get count(): number {
    return this.#count;
  }

  /** Resolves once there were changes after the count `before`, after the poll interval, or on abort. */
  next(before: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#count !== before || signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      this.#wake = done;
      const timer = setTimeout(done, pollMilliseconds);
      signal?.addEventListener("abort", done, { once: true });
    });
  }

  close(): void {
    this.#watcher?.close();
  }
}
