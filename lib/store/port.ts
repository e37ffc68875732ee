import type { Conflict, Exists } from "./errors.ts";

/** The data that users of the store read without parsing the body. The writer passes it, and it is stored unchanged. */
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
  /** `<namespace>/<name>`, or `/<name>` for cluster-scoped objects. Keys sort by UTF-8 bytes. */
  key: string;
  revision: number;
  /** The object's bytes as they are served. They never change. */
  body: Uint8Array;
  /** The schema that wrote the body: readers with another one parse and convert. */
  schema: string;
  index: Index;
}

/** One change of one key, at one revision of its type. */
export interface Change {
  revision: number;
  type: "create" | "update" | "delete";
  key: string;
  /**
   * The object after the change; for a delete the last state, whose body was made for the delete's own revision.
   */
  entry: Entry;
  /** The object before the change, unless the change created it. */
  previous?: Entry;
}

interface Body {
  /** The bytes for the revision of the write. It is pure, and may be called more than once. */
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

/** The result of one write: its entry in the log (for a delete the last state), or why it was refused. */
export type Commit = Entry | Exists | Conflict;

export interface ListOptions {
  /** Only keys that start with this; "" for all. */
  prefix?: string;
  /** Only keys after this one. */
  after?: string;
  /** The most entries. */
  limit?: number;
  /** The snapshot at this revision instead of the newest: continues an earlier page's snapshot. */
  at?: number;
}

/** Entries of one snapshot, in key order. */
export interface Page {
  /** The snapshot's revision: a watch from here misses nothing and repeats nothing. */
  revision: number;
  entries: Entry[];
  /** How many more keys of the prefix follow the last entry; undefined when the driver does not count them. */
  remaining?: number;
  /** Whether more entries follow. */
  more: boolean;
}

/**
 * The store. A *type* is a storage name with a counter and a log of its own; the counter starts at 1, so that no list
 * reports 0. Every successful write is exactly one change at a revision that no other write of the type has; the order
 * of revisions is the order in which changes become visible.
 */
export interface Store {
  /** The current object, strongly consistent; undefined when none exists. */
  get(type: string, key: string): Promise<Entry | undefined>;
  /** The counter, read consistently: no write has a revision above it. */
  head(type: string): Promise<number>;
  /** One snapshot that holds everything acknowledged before the call. Compacted or FutureRevision for a bad `at`. */
  list(type: string, options?: ListOptions): Promise<Page>;
  /**
   * Writes; each succeeds or fails by itself, in the order given. Resolves when what succeeded is durable. Two writes
   * of one commit may not name the same key. Rejects with ApiError 429 when the store could not accept them in time:
   * its `results` (a Commit or undefined for each write) hold those that were decided, and none of the others is in the
   * log. Rejects with 413 for a key or a body that the driver cannot store, and with what a `body` throws. After any
   * other error the outcome of the writes is unknown.
   */
  commit(type: string, writes: Write[]): Promise<Commit[]>;
  /**
   * Changes with revisions above `after`, ordered and without gaps up to `through` (which may be above the last
   * change, where revisions were given up). At most about `limit`. Compacted when `after` is below the floor,
   * FutureRevision when it is above the head. Repeated calls pass revisions whose writers have died.
   */
  changes(type: string, after: number, limit?: number): Promise<{ changes: Change[]; through: number }>;
  /** Resolves when there may be changes above `after`, or when the signal aborts; never rejects for an abort. */
  changed(type: string, after: number, signal: AbortSignal): Promise<void>;
  /**
   * Raises the floor: changes at or below `before` may be deleted. The floor never exceeds the head and never falls.
   * Everything that later changes and snapshots from the floor on need stays.
   */
  compact(type: string, before: number): Promise<void>;
  /** Frees the driver's resources. */
  close(): Promise<void>;
}
