import type { DatabaseSync } from "node:sqlite";
import { type Deferred, deferred, internalError, messageOf, tooManyRequests } from "#base";
import {
  type Change,
  type Commit,
  Compacted,
  checkWrites,
  type Entry,
  FutureRevision,
  refusal,
  type Store,
  Wakeups,
  type Write,
} from "#store";
import { limitLog, openFile } from "./file.ts";
import { isFullError, Room, type RoomOptions } from "./room.ts";
import { createTable, findTable, type Position, type Table, tableOf } from "./table.ts";
import { Tail } from "./tail.ts";

export interface SqliteOptions {
  /** The database file; its folder must be there. `:memory:` keeps nothing. */
  path: string;
  /**
   * Nobody else opens the file while this store has it: no lock is taken for each read, and where the logs stand is
   * known without asking. A second opener is refused.
   */
  exclusive?: boolean;
  /** What is done about a full disk; without it a write that finds no room just fails. Only for an exclusive store. */
  room?: Omit<RoomOptions, "path">;
}

interface Asked {
  type: string;
  writes: Write[];
  answer: Deferred<Commit[]>;
  /** What the job came to, once its transaction is over. */
  outcome?: Commit[];
  error?: unknown;
}

interface Log {
  table: Table;
  tail: Tail;
  /** Where it stands, where nobody else can move it. */
  known?: Position | undefined;
}

/** How many revisions the floor rises by in one transaction, so that no other request waits long for it. */
const compactStep = 500;
const changesLimit = 1000;
const sqliteBusy = 5;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Opens the store in a file. Throws an Error that names the file when it cannot be used. Commits that are asked for
 * in one turn of the event loop share one transaction, and thereby one wait for the disk.
 */
export function sqliteStore({ path, exclusive = false, room: options }: SqliteOptions): Store {
  const database = openFile(path, exclusive);
  const room = options && new Room(database, { path, ...options });
  // A quarter of the reserve: what is left of it after the log was moved into the database is for deletions.
  if (options) limitLog(database, options.reserve.bytes / 4);
  /** Types that are known to have no log yet; only an exclusive store can know. */
  const absent = new Set<string>();
  const logs = new Map<string, Log>();
  const wakeups = new Wakeups();
  let queue: Asked[] = [];
  let done: Asked[] = [];

  const logOf = (type: string): Log | undefined => {
    const found = logs.get(type);
    if (found || absent.has(type)) return found;
    const id = findTable(database, type);
    if (id !== undefined) return register(type, id);
    if (exclusive) absent.add(type);
    return undefined;
  };
  /** Where a log stands, as committed. */
  const positionOf = (log: Log): Position => {
    if (log.known) return log.known;
    const position = log.table.position();
    if (exclusive) log.known = position;
    return position;
  };
  const register = (type: string, id: number): Log => {
    const log: Log = { table: tableOf(database, id), tail: new Tail() };
    absent.delete(type);
    logs.set(type, log);
    return log;
  };
  const makeLog = (type: string): Log =>
    logOf(type) ??
    register(
      type,
      inTransaction(database, () => createTable(database, type)),
    );

  /** Makes the jobs' writes in one transaction. */
  const write = (jobs: Asked[]): Map<string, Touched> => {
    const touched = new Map<string, Touched>();
    for (const { type } of jobs) makeLog(type);
    inTransaction(database, () => {
      for (const job of jobs) run(job, touchedOf(touched, job.type, logOf(job.type)!), room);
      for (const { log, position } of touched.values()) log.table.setCounter(position.counter);
    });
    return touched;
  };
  /** As `write`, and once more on what a full disk has kept for it. */
  const writeOrFill = (jobs: Asked[]): Map<string, Touched> => {
    try {
      return write(jobs);
    } catch (error) {
      if (!room || !isFullError(error)) throw error;
      room.fill();
      free(true);
      return write(jobs);
    }
  };
  /** On a full disk the past goes at once: bodies that nothing shows any more are all that can be freed. */
  const free = (everything: boolean): void => {
    if (!room?.full) return;
    const names = database.prepare("SELECT name FROM types").all() as unknown as { name: string }[];
    const types = everything ? names.map(({ name }) => name) : [...logs.keys()];
    for (const type of types) {
      const log = logOf(type);
      while (log && raise(log, Number.POSITIVE_INFINITY));
    }
    room.look();
  };
  /** Raises a log's floor by a step, at most to `before`. Says whether there may be more. */
  const raise = (log: Log, before: number): boolean => {
    log.known = undefined;
    return inTransaction(database, () => {
      const { counter, floor } = log.table.position();
      const target = Math.min(before, counter);
      if (floor >= target) return false;
      log.table.raiseFloor(floor, Math.min(target, floor + compactStep));
      return true;
    });
  };

  const flush = (): void => {
    const jobs = queue;
    queue = [];
    let touched: Map<string, Touched>;
    try {
      touched = writeOrFill(jobs);
    } catch (error) {
      for (const job of jobs) job.error = refused(error);
      done.push(...jobs);
      return;
    }
    for (const [type, { log, start, position, changes }] of touched) {
      if (exclusive) log.known = position;
      log.tail.append(start, changes);
      wakeups.announce(type, position.counter);
    }
    done.push(...jobs);
    // After those that are woken have read: they need what lies above the old floor.
    if (room?.full) setImmediate(freeSafely);
  };
  const freeSafely = (): void => {
    try {
      if (database.isOpen) free(false);
    } catch (error) {
      // There was no room for it either; the next write tries again.
      if (!isFullError(error)) throw error;
    }
  };

  const acknowledge = (): void => {
    const jobs = done;
    done = [];
    for (const job of jobs) {
      if (job.error === undefined) job.answer.resolve(job.outcome!);
      else job.answer.reject(job.error);
    }
  };

  const snapshot = <T>(read: () => T): T => inTransaction(database, read, "BEGIN");

  return {
    get: async (type, key) => logOf(type)?.table.get(key),
    head: async (type) => {
      const log = logOf(type);
      return log ? positionOf(log).counter : 1;
    },
    list: async (type, options = {}) => {
      const log = logOf(type);
      return snapshot(() => {
        const position = log?.table.position() ?? unborn;
        if (options.at !== undefined) checkRevision(position, options.at);
        if (!log) return { revision: options.at ?? 1, entries: [], remaining: 0, more: false };
        return log.table.list(options.at ?? position.counter, options);
      });
    },
    commit: (type, writes) => {
      const job: Asked = { type, writes, answer: deferred() };
      try {
        checkWrites(writes);
        if (!database.isOpen) throw new Error("the store is closed");
      } catch (error) {
        return Promise.reject(error);
      }
      if (queue.push(job) === 1) {
        setImmediate(flush);
        // Between two immediates everything that waits runs: whoever is woken has read the transaction before its
        // writers are told, so that no list from a cache misses what the same client has written.
        setImmediate(acknowledge);
      }
      return job.answer.promise;
    },
    changes: async (type, after, limit = changesLimit) => {
      const log = logOf(type);
      const position = log ? positionOf(log) : unborn;
      checkRevision(position, after);
      const changes = log?.tail.after(after, limit, position.counter) ?? log?.table.changes(after, limit) ?? [];
      const through = changes.length < limit ? position.counter : changes.at(-1)!.revision;
      return { changes, through };
    },
    changed: async (type, after, signal) => {
      const log = logOf(type);
      if (log && positionOf(log).counter > after) return;
      await wakeups.wait(type, after, signal);
    },
    compact: async (type, before) => {
      const log = logOf(type);
      if (!log) return;
      while (raise(log, before)) await nextTurn();
    },
    close: async () => {
      if (!database.isOpen) return;
      if (queue.length > 0) flush();
      acknowledge();
      wakeups.close();
      database.close();
    },
  };
}

const unborn: Position = { counter: 1, floor: 0 };

/** One type within a transaction: where it stood, where it stands, what has come. */
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

/** Makes a job's writes. A body that throws ends the job before its first row, and only this job. */
function run(job: Asked, touched: Touched, room: Room | undefined): void {
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

/** What a client is told when the disk has failed: nothing of the transaction was kept. */
function refused(error: unknown): Error {
  const isBusy = error instanceof Error && "errcode" in error && error.errcode === sqliteBusy;
  if (isBusy) return tooManyRequests("the store is in use by another process", 1);
  return internalError(`the store could not write: ${messageOf(error)}`, error);
}
