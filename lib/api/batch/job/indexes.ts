/** Indexes as a Job's status and policies write them: rising, with runs shortened, such as `1,3-5,7`. */

/** A run of indexes, both ends included. */
export interface Interval {
  first: number;
  last: number;
}

/** Runs in rising order that neither touch nor overlap. */
export type Intervals = readonly Interval[];

export const countIndexes = (intervals: Intervals): number =>
  intervals.reduce((sum, { first, last }) => sum + last - first + 1, 0);

export function hasIndex(intervals: Intervals, index: number): boolean {
  let [low, high] = [0, intervals.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (intervals[middle]!.last < index) low = middle + 1;
    else high = middle;
  }
  return (intervals[low]?.first ?? Number.POSITIVE_INFINITY) <= index;
}

/** Both together. */
export function mergeIndexes(left: Intervals, right: Intervals): Intervals {
  const merged: Interval[] = [];
  for (const { first, last } of [...left, ...right].sort((a, b) => a.first - b.first)) {
    const before = merged.at(-1);
    if (!before || first > before.last + 1) merged.push({ first, last });
    else before.last = Math.max(before.last, last);
  }
  return merged;
}

export const indexesOf = (indexes: Iterable<number>): Intervals =>
  mergeIndexes(
    [...indexes].map((index) => ({ first: index, last: index })),
    [],
  );

/** Two neighbours are written with a comma, three and more with a dash. */
export const formatIndexes = (intervals: Intervals): string =>
  intervals
    .map(({ first, last }) => (first === last ? `${first}` : `${first}${last === first + 1 ? "," : "-"}${last}`))
    .join(",");

const integer = /^[+-]?\d+$/;

/** Reads what a status holds, leaving out what is not below `completions` and what cannot be read. */
export function readIndexes(text: string, completions: number): Intervals {
  const found: Interval[] = [];
  for (const part of text === "" ? [] : text.split(",")) {
    const [from = "", to = from] = part.split("-");
    if (!integer.test(from)) continue;
    if (Number(from) >= completions) break;
    if (!integer.test(to)) continue;
    found.push({ first: Number(from), last: Math.min(Number(to), completions - 1) });
  }
  return mergeIndexes(found, []);
}

const quote = (text: string): string => JSON.stringify(text);

function parseInterval(text: string, completions: number): Interval {
  const parts = text.split("-");
  if (parts.length > 2) {
    const rule = "violates the requirement that an index interval can have at most two parts separated by '-'";
    throw new Error(`the fragment ${quote(text)} ${rule}`);
  }
  const [first = 0, last = first] = parts.map((part) => {
    if (!integer.test(part)) throw new Error(`cannot convert string to integer for index: ${quote(part)}`);
    if (Number(part) >= completions) throw new Error(`too large index: ${quote(part)}`);
    return Number(part);
  });
  if (parts.length > 1 && first >= last) {
    throw new Error(`non-increasing order, previous: ${first}, current: ${last}`);
  }
  return { first, last };
}

/** Reads indexes strictly. Throws an Error in upstream's words. */
export function parseIndexes(text: string, completions: number): Intervals {
  const found: Interval[] = [];
  for (const part of text === "" ? [] : text.split(",")) {
    const next = parseInterval(part, completions);
    const before = found.at(-1);
    if (before && before.last >= next.first) {
      throw new Error(`non-increasing order, previous: ${before.last}, current: ${next.first}`);
    }
    found.push(next);
  }
  return found;
}

/** The first index that both texts name; parts that cannot be read do not count. */
export function firstCommonIndex(left: string, right: string, completions: number): number | undefined {
  const read = (text: string): Interval[] =>
    text.split(",").flatMap((part) => {
      try {
        return [parseInterval(part, completions)];
      } catch {
        return [];
      }
    });
  if (left === "" || right === "") return undefined;
  const others = read(right);
  for (const { first, last } of read(left)) {
    const common = others.find((other) => first <= other.last && other.first <= last);
    if (common) return Math.max(first, common.first);
  }
  return undefined;
}
