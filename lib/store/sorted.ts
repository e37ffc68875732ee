import { compareKeys } from "./keys.ts";

interface Keyed {
  readonly key: string;
}

const chunkLimit = 512;

/**
 * Items by key, in key order: a list of sorted chunks, so that an insert among 100,000 moves at most one chunk and
 * iteration from any key reads neighbours only. An item replaces the one with its key.
 */
export class Sorted<T extends Keyed> {
  #chunks: T[][] = [[]];
  #size = 0;

  /** A list of items that are in key order, each key once. */
  static of<T extends Keyed>(ordered: readonly T[]): Sorted<T> {
    const sorted = new Sorted<T>();
    // Chunks start three quarters full, so that the first inserts do not split them.
    const step = (chunkLimit * 3) / 4;
    for (let start = 0; start < ordered.length; start += step) sorted.#chunks.push(ordered.slice(start, start + step));
    if (sorted.#chunks.length > 1) sorted.#chunks.shift();
    sorted.#size = ordered.length;
    return sorted;
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): T | undefined {
    const chunk = this.#chunks[this.#chunkOf(key)]!;
    const found = chunk[lowerBound(chunk, key)];
    return found?.key === key ? found : undefined;
  }

  set(thing: T): void {
    const at = this.#chunkOf(thing.key);
    const chunk = this.#chunks[at]!;
    const index = lowerBound(chunk, thing.key);
    if (chunk[index]?.key === thing.key) {
      chunk[index] = thing;
      return;
    }
    chunk.splice(index, 0, thing);
    this.#size++;
    if (chunk.length > chunkLimit) this.#chunks.splice(at + 1, 0, chunk.splice(chunk.length >> 1));
  }

  delete(key: string): boolean {
    const at = this.#chunkOf(key);
    const chunk = this.#chunks[at]!;
    const index = lowerBound(chunk, key);
    if (chunk[index]?.key !== key) return false;
    chunk.splice(index, 1);
    this.#size--;
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(at, 1);
    return true;
  }

  /** The number of keys before `key`. */
  rank(key: string): number {
    const at = this.#chunkOf(key);
    let before = lowerBound(this.#chunks[at]!, key);
    for (let index = 0; index < at; index++) before += this.#chunks[index]!.length;
    return before;
  }

  /** At most `limit` items from the rank `from` on. */
  slice(from: number, limit: number): T[] {
    const things: T[] = [];
    let skip = from;
    for (const chunk of this.#chunks) {
      if (things.length >= limit) break;
      if (skip >= chunk.length) {
        skip -= chunk.length;
        continue;
      }
      const end = Math.min(chunk.length, skip + limit - things.length);
      for (let index = skip; index < end; index++) things.push(chunk[index]!);
      skip = 0;
    }
    return things;
  }

  /** The chunk that holds the key, or would. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (compareKeys(this.#chunks[middle]![0]!.key, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The index of the first item whose key is not before `key`. */
function lowerBound(things: readonly Keyed[], key: string): number {
  let low = 0;
  let high = things.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys(things[middle]!.key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
