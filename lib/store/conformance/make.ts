import type { Change, Commit, Entry, Index, Store, Write } from "#store";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A body that names its revision, as served objects do. */
export const bodyOf =
  (text: string) =>
  (revision: number): Uint8Array =>
    encoder.encode(`${text}@${revision}`);

export const textOf = (entry: Entry): string => decoder.decode(entry.body);

const plain = (key: string): Index => ({ uid: `uid-of-${key}` });

export const create = (key: string, text = key, index = plain(key)): Write => ({
  type: "create",
  key,
  body: bodyOf(text),
  schema: "s1",
  index,
});

export const update = (key: string, expected: number, text = key, index = plain(key)): Write => ({
  type: "update",
  key,
  expected,
  body: bodyOf(text),
  schema: "s1",
  index,
});

export const remove = (key: string, expected: number, text = key, index = plain(key)): Write => ({
  type: "delete",
  key,
  expected,
  body: bodyOf(text),
  schema: "s1",
  index,
});

/** The entry of a write that must have succeeded. */
export function entryOf(commit: Commit | undefined): Entry {
  if (commit === undefined || commit instanceof Error) throw commit ?? new Error("no result");
  return commit;
}

/** Commits one write that must succeed. */
export async function write(store: Store, type: string, one: Write): Promise<Entry> {
  const [result] = await store.commit(type, [one]);
  return entryOf(result);
}

/** Reads all changes above `after` up to the current counter. */
export async function readLog(store: Store, type: string, after: number, limit?: number): Promise<Change[]> {
  const head = await store.head(type);
  const all: Change[] = [];
  for (let at = after; at < head; ) {
    const { changes, through } = await store.changes(type, at, limit);
    all.push(...changes);
    if (through > at) at = through;
    else await store.changed(type, at, AbortSignal.timeout(50));
  }
  return all;
}

/** A change in one line: its type, key, text and previous text. */
export const lineOf = (change: Change): string =>
  `${change.type} ${change.key} ${textOf(change.entry)}${change.previous ? ` from ${textOf(change.previous)}` : ""}`;
