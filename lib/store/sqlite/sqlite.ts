import type { DatabaseSync } from "node:sqlite";
import { type Deferred, deferred, internalError, messageOf, tooManyRequests } from "#base";
import {
  type Change,
  type Commit,
  Compacted,
  checkWrites,
  type Entry,
  FutureRevision,
  type ListOptions,
  type Page,
  refusal,
  type Store,
  Wakeups,
  type Write,
} from "#store";
import { limitLog, openFile } from "./file.ts";
import { isFullError, Room, type RoomOptions } from "./room.ts";
import { createTable, findTable, type Position, Table } from "./table.ts";
import { Tail } from "./tail.ts";

export interface SqliteOptions {
  /** The database file; its folder must exist. `:memory:` stores nothing on disk. */
  path: string;
  /**
   * No other process opens the file while this store has it: reads take no locks, and the heads of the logs are kept in
   * memory. A second opener is refused.
   */
  exclusive?: boolean;
  /** How a full disk is handled; without it a write that finds no room fails. Only for an exclusive store. */
  room?: Omit<RoomOptions, "path">;
}

/** A commit that waits for its transaction. */
interface PendingCommit {
  type: string;
  writes: Write[];
  answer: Deferred<Commit[]>;
  /** The results, once its transaction is over. */
  outcome?: Commit[];
  error?: unknown;
}

interface Log {
  table: Table;
  tail: Tail;
  /** The committed position, in an exclusive store. */
  known?: Position | undefined;
}

/** How many revisions the floor rises by in one transaction, so that no other request waits long for it. */
const compactStep = 500;
const changesLimit = 1000;
const sqliteBusy = 5;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Opens the store in a file. Throws an Error that names the file when it cannot be used. Commits of one turn of the
 * event loop share one transaction, and thereby one wait for the disk.
 */
export const sqliteStore = (options: SqliteOptions): Store => new SqliteStore(options);

class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #isExclusive: boolean;
  readonly #room: Room | undefined;
  /** Types that have no log yet; known only to an exclusive store. */
  readonly #absent = new Set<string>();
  readonly #logs = new Map<string, Log>();
  readonly #wakeups = new Wakeups();
  #queue: PendingCommit[] = [];
  #done: PendingCommit[] = [];

  constructor({ path, exclusive = false, room }: SqliteOptions) {
    this.#database = openFile(path, exclusive);
    this.#isExclusive = exclusive;
    this.#room = room && new Room(this.#database, { path, ...room });
    // A quarter of the reserve: the rest of it is for deletions, after the log has been moved into the database.
    if (room) limitLog(this.#database, room.reserve.bytes / 4);
  }

  async get(type: string, key: string): Promise<Entry | undefined> {
    return this.#logOf(type)?.table.get(key);
  }

  async head(type: string): Promise<number> {
    const log = this.#logOf(type);
    return log ? this.#positionOf(log).counter : 1;
  }

  async list(type: string, options: ListOptions = {}): Promise<Page> {
    const log = this.#logOf(type);
    const read = (): Page => {
      const position = log?.table.position() ?? unborn;
      if (options.at !== undefined) checkRevision(position, options.at);
      if (!log) return { revision: options.at ?? 1, entries: [], remaining: 0, more: false };
      return log.table.list(options.at ?? position.counter, options);
    };
    return inTransaction(this.#database, read, "BEGIN");
  }

  async commit(type: string, writes: Write[]): Promise<Commit[]> {
    checkWrites(writes);
    if (!this.#database.isOpen) throw new Error("the store is closed");
    const job: PendingCommit = { type, writes, answer: deferred() };
    if (this.#queue.push(job) === 1) {
      setImmediate(() => this.#flush());
      // Watchers run between the two immediates: they have read the transaction before its writers are answered, so no
      // list from a cache misses what the same client has written.
      setImmediate(() => this.#acknowledge());
    }
    return job.answer.promise;
  }

  async changes(type: string, after: number, limit = changesLimit): Promise<{ changes: Change[]; through: number }> {
    const log = this.#logOf(type);
    const position = log ? this.#positionOf(log) : unborn;
    checkRevision(position, after);
    const changes = log?.tail.after(after, limit, position.counter) ?? log?.table.changes(after, limit) ?? [];
    const through = changes.length < limit ? position.counter : changes.at(-1)!.revision;
    return { changes, through };
  }

  async changed(type: string, after: number, signal: AbortSignal): Promise<void> {
    const log = this.#logOf(type);
    if (log && this.#positionOf(log).counter > after) return;
    await this.#wakeups.wait(type, after, signal);
  }

  async compact(type: string, before: number): Promise<void> {
    const log = this.#logOf(type);
    if (!log) return;
    while (this.#raiseFloor(log, before)) await nextTurn();
  }

  async close(): Promise<void> {
    if (!this.#database.isOpen) return;
    if (this.#queue.length > 0) this.#flush();
    this.#acknowledge();
    this.#wakeups.close();
    this.#database.close();
  }

  #logOf(type: string): Log | undefined {
    const found = this.#logs.get(type);
    if (found || this.#absent.has(type)) return found;
    const id = findTable(this.#database, type);
    if (id !== undefined) return this.#register(type, id);
    if (this.#isExclusive) this.#absent.add(type);
    return undefined;
  }

  #register(type: string, id: number): Log {
    const log: Log = { table: new Table(this.#database, id), tail: new Tail() };
    this.#absent.delete(type);
    this.#logs.set(type, log);
    return log;
  }

  #createLog(type: string): void {
    if (this.#logOf(type)) return;
    const id = inTransaction(this.#database, () => createTable(this.#database, type));
    this.#register(type, id);
  }

  /** The committed position of a log. */
  #positionOf(log: Log): Position {
    if (log.known) return log.known;
    const position = log.table.position();
    if (this.#isExclusive) log.known = position;
    return position;
  }

  /** Stores the writes of all waiting commits in one transaction. */
  #flush(): void {
    const jobs = this.#queue;
    this.#queue = [];
    let touched: Map<string, Touched>;
    try {
      touched = this.#writeOrFree(jobs);
    } catch (error) {
      for (const job of jobs) job.error = refused(error);
      this.#done.push(...jobs);
      return;
    }
    for (const [type, { log, start, position, changes }] of touched) {
      if (this.#isExclusive) log.known = position;
      log.tail.append(start, changes);
      this.#wakeups.announce(type, position.counter);
    }
    this.#done.push(...jobs);
    // After the watchers have read: they need what is above the old floor.
    if (this.#room?.full) setImmediate(() => this.#freeLater());
  }

  #write(jobs: readonly PendingCommit[]): Map<string, Touched> {
    const touched = new Map<string, Touched>();
    for (const { type } of jobs) this.#createLog(type);
    inTransaction(this.#database, () => {
      for (const job of jobs) run(job, touchedOf(touched, job.type, this.#logOf(job.type)!), this.#room);
      for (const { log, position } of touched.values()) log.table.setCounter(position.counter);
    });
    return touched;
  }

  /** As `#write`. On a full disk the reserve is given up, and the write tried again. */
  #writeOrFree(jobs: readonly PendingCommit[]): Map<string, Touched> {
    try {
      return this.#write(jobs);
    } catch (error) {
      if (!this.#room || !isFullError(error)) throw error;
      this.#room.fill();
      this.#free(true);
      return this.#write(jobs);
    }
  }

  /** Deletes the past of logs on a full disk: bodies that no read shows any more are all that can be freed. */
  #free(everything: boolean): void {
    if (!this.#room?.full) return;
    const names = this.#database.prepare("SELECT name FROM types").all() as unknown as { name: string }[];
    const types = everything ? names.map(({ name }) => name) : [...this.#logs.keys()];
    for (const type of types) {
      const log = this.#logOf(type);
      while (log && this.#raiseFloor(log, Number.POSITIVE_INFINITY));
    }
    this.#room.look();
  }

  /** No caller waits for this: a disk that fails here fails at the next write too, which is answered with the error. */
  #freeLater(): void {
    try {
      if (this.#database.isOpen) this.#free(false);
    } catch {
      // Tried again after the next write.
    }
  }

  /** Raises a log's floor by a step, to `before` at most. Returns whether there may be more to raise. */
  #raiseFloor(log: Log, before: number): boolean {
    log.known = undefined;
    return inTransaction(this.#database, () => {
      const { counter, floor } = log.table.position();
      const target = Math.min(before, counter);
      if (floor >= target) return false;
      log.table.raiseFloor(floor, Math.min(target, floor + compactStep));
      return true;
    });
  }

  #acknowledge(): void {
    const jobs = this.#done;
    this.#done = [];
    for (const job of jobs) {
      if (job.error === undefined) job.answer.resolve(job.outcome!);
      else job.answer.reject(job.error);
    }
  }
}

const unborn: Position = { counter: 1, floor: 0 };

/** One type within a transaction: its log, the position before and after, and the changes. */
interface Touched {
  log: Log;
  start: number;
  position: Position;
  changes: Change[];
}

function touchedOf(all: Map<string, Touched>, type: string, log: Log): Touched {
  const found = all.get(type);
  if (found) return found;
  const position = log.table.position();
  const made = { log, start: position.counter, position, changes: [] };
  all.set(type, made);
  return made;
}

function checkRevision({ counter, floor }: Position, revision: number): void {
  if (revision < floor) throw new Compacted(revision, floor);
  if (revision > counter) throw new FutureRevision(revision, counter);
}

/** Stores a commit's writes. A body that throws fails this commit before its first row, and no other. */
function run(job: PendingCommit, touched: Touched, room: Room | undefined): void {
  const { table } = touched.log;
  const planned: Change[] = [];
  let counter = touched.position.counter;
  try {
    job.outcome = job.writes.map((write): Commit => {
      const { type, key, schema, index } = write;
      const previous = table.get(key);
      const refused = refusal(write, previous);
      if (refused) return refused;
      const full = room?.refusal(write, previous);
      if (full) throw full;
      const revision = counter + 1;
      const entry: Entry = { key, revision, body: write.body(revision), schema, index };
      counter = revision;
      planned.push({ revision, type, key, entry, ...(previous ? { previous } : {}) });
      return entry;
    });
  } catch (error) {
    job.error = error;
    return;
  }
  for (const change of planned) table.append(change);
  touched.position.counter = counter;
  touched.changes.push(...planned);
}

function inTransaction<T>(database: DatabaseSync, work: () => T, begin = "BEGIN IMMEDIATE"): T {
  database.exec(begin);
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    // Some errors, a full disk among them, have ended the transaction already.
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** The answer when the disk has failed: nothing of the transaction is stored. */
function refused(error: unknown): Error {
  const isBusy = error instanceof Error && "errcode" in error && error.errcode === sqliteBusy;
  if (isBusy) return tooManyRequests("the store is in use by another process", 1);
  return internalError(`the store could not write: ${messageOf(error)}`, error);
}
