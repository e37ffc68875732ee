import { afterPrefix, compareKeys } from "./keys.ts";
import type { Change, Entry, ListOptions, Page } from "./port.ts";
import { Sorted } from "./sorted.ts";

/** Where a page starts and how long it may be; `start` is the first key that may be in it. */
interface Range {
  start: string;
  end: string | undefined;
  limit: number;
}

/** The key right after `key`: there is none between them. */
const successor = (key: string): string => `${key}\u0000`;

export function rangeOf({ prefix = "", after, limit }: ListOptions): Range {
  const behind = after === undefined ? "" : successor(after);
  return {
    start: compareKeys(behind, prefix) > 0 ? behind : prefix,
    end: afterPrefix(prefix),
    limit: limit === undefined || limit <= 0 ? Number.POSITIVE_INFINITY : limit,
  };
}

/** One page of entries at `revision`. */
export function pageOf(entries: Sorted<Entry>, revision: number, options: ListOptions): Page {
  const { start, end, limit } = rangeOf(options);
  const from = entries.rank(start);
  const to = end === undefined ? entries.size : entries.rank(end);
  const length = Math.max(0, Math.min(limit, to - from));
  const remaining = Math.max(0, to - from) - length;
  return { revision, entries: entries.slice(from, length), remaining, more: remaining > 0 };
}

/**
 * The state before a run of changes, as differences from the state after it: each changed key with its entry before the
 * first change, or undefined.
 */
export function rewind(changes: Iterable<Change>): Map<string, Entry | undefined> {
  const before = new Map<string, Entry | undefined>();
  for (const change of changes) if (!before.has(change.key)) before.set(change.key, change.previous);
  return before;
}

/** As pageOf, of an earlier state that differs from `entries` by `before`. */
export function earlierPage(
  entries: Sorted<Entry>,
  before: Map<string, Entry | undefined>,
  revision: number,
  options: ListOptions,
): Page {
  if (before.size === 0) return pageOf(entries, revision, options);
  const { start, end } = rangeOf(options);
  const from = entries.rank(start);
  const to = end === undefined ? entries.size : entries.rank(end);
  const kept = entries.slice(from, Math.max(0, to - from)).filter((entry) => !before.has(entry.key));
  const old: Entry[] = [];
  for (const entry of before.values()) {
    if (!entry || compareKeys(entry.key, start) < 0) continue;
    if (end === undefined || compareKeys(entry.key, end) < 0) old.push(entry);
  }
  old.sort((a, b) => compareKeys(a.key, b.key));
  return pageOf(Sorted.of(merge(kept, old)), revision, options);
}

/** Two ordered lists without a common key, as one. */
function merge(left: Entry[], right: Entry[]): Entry[] {
  if (right.length === 0) return left;
  const merged: Entry[] = [];
  let next = 0;
  for (const entry of left) {
    while (next < right.length && compareKeys(right[next]!.key, entry.key) < 0) merged.push(right[next++]!);
    merged.push(entry);
  }
  while (next < right.length) merged.push(right[next++]!);
  return merged;
}
