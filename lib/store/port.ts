import type { Conflict, Exists } from "./errors.ts";

/** The little that the store's users look at without opening the body. Given by the writer, kept as it is. */
export interface Index {
  uid: string;
  labels?: Record<string, string>;
  /** Selectable fields by name, such as `spec.nodeName`; absent means "". */
  fields?: Record<string, string>;
  /** Uids of owners. */
  owners?: string[];
}

/** An object at a revision. */
export interface Entry {
  /** `<namespace>/<name>`, or `/<name>` for what has no namespace. Keys sort by UTF-8 bytes. */
  key: string;
  revision: number;
  /** The object's bytes as they are served. Never changed by anybody once handed over. */
  body: Uint8Array;
  /** Which schema wrote the body: readers whose own differs parse and convert. */
  schema: string;
  index: Index;
}

/** One thing that happened to one key, at one revision of its type. */
export interface Change {
  revision: number;
  type: "create" | "update" | "delete";
  key: string;
  /**
   * The object after the change; for a delete the last state, whose body was made for the delete's own revision.
   */
  entry: Entry;
  /** Where the object stood before, unless the change created it. */
  previous?: Entry;
}

interface Body {
  /** The bytes at the revision that the write gets: may be called more than once, must be pure. */
  body: (revision: number) => Uint8Array;
  schema: string;
  index: Index;
}

/** One write of a commit. `expected` is the revision that the object must have. */
export type Write =
  | ({ type: "create"; key: string } & Body)
  | ({ type: "update"; key: string; expected: number } & Body)
  /** `body` gives the last state as watchers see it, at the delete's own revision. */
  | ({ type: "delete"; key: string; expected: number } & Body);

/** What became of one write: the entry that stands in the log (for a delete the last state), or why it does not. */
export type Commit = Entry | Exists | Conflict;

export interface ListOptions {
  /** Only keys that start with this; "" for all. */
  prefix?: string;
  /** Only keys after this one. */
  after?: string;
  /** At most so many entries. */
  limit?: number;
  /** The snapshot at this revision instead of the newest: goes on where an earlier page's snapshot ended. */
  at?: number;
}

/** Entries of one snapshot, in key order. */
export interface Page {
  /** The snapshot's revision: a watch from here misses nothing and repeats nothing. */
  revision: number;
  entries: Entry[];
  /** How many more keys of the prefix lie behind the last entry; undefined when the driver does not count them. */
  remaining?: number;
  /** Whether there are more. */
  more: boolean;
}

/**
 * The store. A *type* is a storage name with a counter and a log of its own; the counter starts at 1, so that no
 * list reports 0. Every successful write makes exactly one change at a revision that no other write of the type
 * has; the order of revisions is the order in which changes become visible.
 */
export interface Store {
  /** The object as it is now, strongly consistent; undefined when there is none. */
  get(type: string, key: string): Promise<Entry | undefined>;
  /** The counter, read consistently: no revision above it has been handed out. */
  head(type: string): Promise<number>;
  /** One snapshot that holds everything acknowledged before the call. Compacted or FutureRevision for a bad `at`. */
  list(type: string, options?: ListOptions): Promise<Page>;
  /**
   * Writes; each succeeds or fails by itself, in the order given. Resolves when what succeeded is durable.
   * Two writes of one commit may not name the same key. An ApiError 429 when the store could not take them in time:
   * its `results` (a Commit or undefined for each write) then say what was decided, and none of the others is in the
   * log. 413 for a key or a body that the driver cannot hold; whatever a `body` throws. Any other error leaves open what became
   * of the writes.
   */
  commit(type: string, writes: Write[]): Promise<Commit[]>;
  /**
   * Changes with revisions above `after`, ordered and without gaps up to `through` (which may lie beyond the last
   * change, where revisions were given up). At most about `limit`. Compacted when `after` is below the floor,
   * FutureRevision when it is above the head. Asked again and again, it gets past revisions whose writers have died.
   */
  changes(type: string, after: number, limit?: number): Promise<{ changes: Change[]; through: number }>;
  /** Resolves when there may be changes above `after`, or when the signal aborts; never rejects for an abort. */
  changed(type: string, after: number, signal: AbortSignal): Promise<void>;
  /**
   * Raises the floor: changes at or below `before` may go. Never above the head, never down. What the changes above
   * and the snapshots from the floor on need is kept.
   */
  compact(type: string, before: number): Promise<void>;
  /** Frees what the driver holds. */
  close(): Promise<void>;
}
