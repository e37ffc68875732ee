import type { Frame } from "./frame.ts";

/** The receiving half: puts pieces in order. At most `window` pieces wait to be read. */
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

  /** There is room for pieces below this number. */
  get limit(): number {
    return this.#read + this.#window;
  }

  /** Everything has arrived and was read. */
  get done(): boolean {
    return this.#end === this.#read;
  }

  /** The numbers of pieces that have arrived beyond a hole, rising. */
  beyond(): number[] {
    return [...this.#held.keys()].filter((number) => number > this.#next).sort((a, b) => a - b);
  }

  /** True for a new piece; false for one that is known or has no room. Throws for a piece beyond the last. */
  take({ number, bytes, end }: Frame): boolean {
    if (number === undefined) return false;
    if (this.#end !== undefined && (number >= this.#end || (end && number + 1 !== this.#end)))
      throw new Error("a piece arrived after the last");
    if (number < this.#next || this.#held.has(number) || number >= this.limit) return false;
    if (end) {
      if ([...this.#held.keys()].some((each) => each > number)) throw new Error("a piece arrived after the last");
      this.#end = number + 1;
    }
    this.#held.set(number, bytes);
    while (this.#held.has(this.#next)) this.#next++;
    return true;
  }

  /** The next bytes in order; undefined when they have not arrived, or everything was read. */
  read(): Uint8Array | undefined {
    while (this.#read < this.#next) {
      const bytes = this.#held.get(this.#read);
      this.#held.delete(this.#read++);
      if (bytes !== undefined && bytes.length > 0) return bytes;
    }
    return undefined;
  }
}
