import type { Change } from "#store";

const mostChanges = 1024;
const mostBytes = 16 * 1024 * 1024;

/** The newest changes of a type as they were written, so that followers need not read the file. */
export class Tail {
  /** The revision after which the tail is complete, and the one up to which it is. */
  #start = 0;
  #end = -1;
  #changes: Change[] = [];
  #bytes = 0;

  /** Adds the changes of one transaction, whose first follows `start`. */
  append(start: number, changes: readonly Change[]): void {
    const last = changes.at(-1);
    if (!last) return;
    // Another process has written in between, or this is the first call.
    if (start !== this.#end) this.#restart(start);
    for (const change of changes) {
      this.#changes.push(change);
      this.#bytes += change.entry.body.length;
    }
    this.#end = last.revision;
    if (this.#changes.length <= 2 * mostChanges && this.#bytes <= mostBytes) return;
    const keep = this.#bytes > mostBytes ? 0 : mostChanges;
    const kept = keep === 0 ? [] : this.#changes.slice(-keep);
    this.#restart(kept.length === 0 ? this.#end : kept[0]!.revision - 1);
    this.#changes = kept;
    this.#end = last.revision;
    this.#bytes = kept.reduce((sum, change) => sum + change.entry.body.length, 0);
  }

  /** Changes above `after`, at most `limit`; undefined when the tail does not hold them all up to `head`. */
  after(after: number, limit: number, head: number): Change[] | undefined {
    if (this.#end !== head || after < this.#start) return undefined;
    // This driver gives up no revision, so the index in the tail follows from the revision.
    const from = after - this.#start;
    return this.#changes.slice(from, from + limit);
  }

  #restart(start: number): void {
    this.#start = start;
    this.#end = start;
    this.#changes = [];
    this.#bytes = 0;
  }
}
