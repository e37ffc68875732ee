import {
  type Change,
  type Commit,
  Compacted,
  checkWrites,
  type Entry,
  earlierPage,
  FutureRevision,
  type ListOptions,
  type Page,
  pageOf,
  refusal,
  rewind,
  Sorted,
  type Store,
  Wakeups,
  type Write,
} from "#store";

export interface MemoryOptions {
  /** The first value of every type's counter. Defaults to 1. */
  start?: number;
}

interface Log {
  head: number;
  floor: number;
  entries: Sorted<Entry>;
  /** Every change above the floor, in order; without gaps, since this driver never gives a revision up. */
  changes: Change[];
}

/** A store that lives as long as the object. Calls take effect in the order in which they are made. */
export function memoryStore(options: MemoryOptions = {}): Store {
  const start = options.start ?? 1;
  const logs = new Map<string, Log>();
  const wakeups = new Wakeups();

  const logOf = (type: string): Log => {
    const found = logs.get(type);
    if (found) return found;
    const log: Log = { head: start, floor: start - 1, entries: new Sorted(), changes: [] };
    logs.set(type, log);
    return log;
  };

  return {
    get: async (type, key) => logOf(type).entries.get(key),
    head: async (type) => logOf(type).head,
    list: async (type, options = {}) => list(logOf(type), options),
    commit: async (type, writes) => {
      checkWrites(writes);
      const log = logOf(type);
      const results = apply(log, writes);
      wakeups.announce(type, log.head);
      return results;
    },
    changes: async (type, after, limit = Number.POSITIVE_INFINITY) => {
      const log = logOf(type);
      checkRevision(log, after);
      const changes = changesAfter(log, after, limit);
      const last = changes.at(-1)?.revision ?? log.head;
      return { changes, through: changes.length < limit ? log.head : last };
    },
    changed: async (type, after, signal) => {
      if (logOf(type).head > after) return;
      await wakeups.wait(type, after, signal);
    },
    compact: async (type, before) => {
      const log = logOf(type);
      const floor = Math.min(before, log.head);
      if (floor <= log.floor) return;
      log.changes = changesAfter(log, floor);
      log.floor = floor;
    },
    close: async () => wakeups.close(),
  };
}

function checkRevision(log: Log, revision: number): void {
  if (revision < log.floor) throw new Compacted(revision, log.floor);
  if (revision > log.head) throw new FutureRevision(revision, log.head);
}

function changesAfter(log: Log, after: number, limit = Number.POSITIVE_INFINITY): Change[] {
  const first = log.changes[0]?.revision ?? log.head + 1;
  const from = Math.max(0, after + 1 - first);
  return log.changes.slice(from, from + Math.max(1, limit));
}

function list(log: Log, options: ListOptions): Page {
  if (options.at === undefined || options.at === log.head) return pageOf(log.entries, log.head, options);
  checkRevision(log, options.at);
  return earlierPage(log.entries, rewind(changesAfter(log, options.at)), options.at, options);
}

/** All writes or, when a body throws, none. */
function apply(log: Log, writes: Write[]): Commit[] {
  const planned: Change[] = [];
  let head = log.head;
  const results = writes.map((write): Commit => {
    const { type, key, schema, index } = write;
    const previous = log.entries.get(key);
    const refused = refusal(write, previous);
    if (refused) return refused;
    const revision = head + 1;
    const entry: Entry = { key, revision, body: write.body(revision), schema, index };
    head = revision;
    planned.push({ revision, type, key, entry, ...(previous ? { previous } : {}) });
    return entry;
  });
  for (const change of planned) {
    if (change.type === "delete") log.entries.delete(change.key);
    else log.entries.set(change.entry);
    log.changes.push(change);
  }
  log.head = head;
  return results;
}
