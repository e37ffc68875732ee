import { type LogPage, pageAt, sizeOf } from "./log-pages.ts";
import type { Change } from "./port.ts";

/** The most bytes of bodies for late followers, including those that are shared with the newest state. */
const mostBytes = 32 * 1024 * 1024;

/** The newest changes of a log, complete from `start` (exclusive) to `end`. */
export class Recent {
  readonly #most: number;
  #changes: Change[] = [];
  #bytes = 0;
  #start: number;
  #end: number;

  constructor(most: number, revision: number) {
    this.#most = most;
    this.#start = revision;
    this.#end = revision;
  }

  /** The window holds the changes above this revision. */
  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** Adds changes that follow `end` without a gap up to `through`. */
  append(changes: readonly Change[], through: number): void {
    for (const change of changes) {
      this.#changes.push(change);
      this.#bytes += sizeOf(change);
    }
    this.#end = through;
    // A quarter more before changes are dropped, so that dropping costs little per change.
    if (this.#changes.length <= this.#most * 1.25 && this.#bytes <= mostBytes) return;
    let drop = 0;
    while (drop < this.#changes.length) {
      if (this.#changes.length - drop <= this.#most && this.#bytes <= mostBytes * 0.75) break;
      this.#bytes -= sizeOf(this.#changes[drop++]!);
    }
    this.#start = this.#changes[drop - 1]?.revision ?? this.#start;
    this.#changes = this.#changes.slice(drop);
  }

  /** The changes above `after`, which must not be below `start`. */
  after(after: number): Change[] {
    return this.#changes.slice(this.#rank(after));
  }

  /** The first page of the changes above `after`, which must not be below `start`. */
  page(after: number): LogPage {
    return pageAt(this.#changes, this.#rank(after), this.#end);
  }

  /** The number of changes at or below a revision. */
  #rank(revision: number): number {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#changes[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
