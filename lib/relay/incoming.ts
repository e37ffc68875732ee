import type { Frame } from "./frame.ts";

/** Pieces that have come, in order again. What waits is bounded by the window. */
export class Incoming {
  readonly #window: number;
  readonly #held = new Map<number, Uint8Array | undefined>();
  /** The first number that has not been read. */
  #read = 0;
  /** The first number that has not arrived. */
  #next = 0;
  /** The number after the last piece, once it is known. */
  #end: number | undefined;

  constructor(window: number) {
    this.#window = window;
  }

  get next(): number {
    return this.#next;
  }

  /** Pieces below this number have a place. */
  get limit(): number {
    return this.#read + this.#window;
  }

  /** Everything has arrived, and been read. */
  get done(): boolean {
    return this.#end === this.#read;
  }

  /** What has arrived beyond a hole. */
  beyond(): number[] {
    return [...this.#held.keys()].filter((number) => number > this.#next).sort((a, b) => a - b);
  }

  /** Whether the piece is new; false for what is known or has no place. Throws when there can be no such piece. */
  take({ number, bytes, end }: Frame): boolean {
    if (number === undefined) return false;
    if (this.#end !== undefined && (number >= this.#end || (end && number + 1 !== this.#end)))
      throw new Error("a piece came after the last");
    if (number < this.#next || this.#held.has(number) || number >= this.limit) return false;
    if (end) {
      if ([...this.#held.keys()].some((each) => each > number)) throw new Error("a piece came after the last");
      this.#end = number + 1;
    }
    this.#held.set(number, bytes);
    while (this.#held.has(this.#next)) this.#next++;
    return true;
  }

  /** The next bytes in order; undefined when they are not there yet, or there are no more. */
  read(): Uint8Array | undefined {
    while (this.#read < this.#next) {
      const bytes = this.#held.get(this.#read);
      this.#held.delete(this.#read++);
      if (bytes !== undefined && bytes.length > 0) return bytes;
    }
    return undefined;
  }
}
