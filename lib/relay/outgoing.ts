import type { Frame } from "./frame.ts";

export interface Piece {
  number: number;
  bytes: Uint8Array;
  end: boolean;
}

interface Sent extends Piece {
  at: number;
  attempts: number;
  /** When it is sent again, in milliseconds on the clock. */
  due: number;
}

export interface OutgoingLimits {
  /** Bytes of a piece. */
  piece: number;
  /** Pieces in flight, at most and at first. */
  flight: number;
  firstFlight: number;
}

/** Milliseconds after which a piece counts as lost: the first guess, and the bounds of later ones. */
const timeouts = { first: 1000, least: 200, most: 5000 };

/**
 * The sending half: bytes are cut into pieces, which are stored until they are acknowledged and sent again when they
 * are not. The number of pieces in flight follows TCP's congestion control (RFC 5681, RFC 6298). Small pieces are
 * collected while others are in flight: each frame costs as much as a full one.
 */
export class Outgoing {
  readonly #limits: OutgoingLimits;
  readonly #waiting: Uint8Array[] = [];
  #backlog = 0;
  readonly #sent = new Map<number, Sent>();
  #next = 0;
  /** The other end has room for pieces below this number. */
  #limit: number;
  #ending = false;
  #ended = false;
  #flight: number;
  #threshold: number;
  /** The flight was already reduced for losses below this number. */
  #recovered = 0;
  #timeout = timeouts.first;
  #roundTrip: { mean: number; deviation: number } | undefined;

  constructor(limits: OutgoingLimits) {
    this.#limits = limits;
    // No window is smaller.
    this.#limit = limits.firstFlight;
    this.#flight = limits.firstFlight;
    this.#threshold = limits.flight;
  }

  /** Bytes that have not been sent once. */
  get backlog(): number {
    return this.#backlog;
  }

  /** Everything has arrived, and the end of it. */
  get done(): boolean {
    return this.#ended && this.#sent.size === 0;
  }

  get ending(): boolean {
    return this.#ending;
  }

  /** There are bytes to send, but the other end has no room: only its next frame can change that. */
  get blocked(): boolean {
    return this.#sent.size === 0 && this.#next >= this.#limit && (this.#backlog > 0 || (this.#ending && !this.#ended));
  }

  /** Milliseconds after which a piece counts as lost, by the round trips that were measured. */
  get timeout(): number {
    return this.#timeout;
  }

  offer(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#waiting.push(bytes);
    this.#backlog += bytes.length;
  }

  end(): void {
    this.#ending = true;
  }

  /** When the next piece is sent again; undefined when none is in flight. */
  dueAt(): number | undefined {
    let due: number | undefined;
    for (const piece of this.#sent.values()) if (due === undefined || piece.due < due) due = piece.due;
    return due;
  }

  /** The pieces to send now. Pieces that are cut now have at most `largest` bytes. */
  take(now: number, largest = this.#limits.piece): Piece[] {
    const due = [...this.#sent.values()].filter((piece) => piece.due <= now).sort((a, b) => a.number - b.number);
    if (due.length > 0) this.#lose(due[0]!.number);
    const flying = this.#sent.size - due.length;
    const taken: Piece[] = [];
    for (const piece of due.slice(0, Math.max(1, this.#flight - flying))) {
      piece.attempts++;
      piece.at = now;
      piece.due = now + Math.min(this.#timeout * 2 ** (piece.attempts - 1), timeouts.most);
      taken.push(piece);
    }
    if (taken.length < due.length) return taken;
    for (let open = Math.floor(this.#flight) - this.#sent.size; open > 0 && this.#next < this.#limit; open--) {
      const piece = this.#cut(Math.min(largest, this.#limits.piece));
      if (!piece) break;
      this.#sent.set(piece.number, { ...piece, at: now, attempts: 1, due: now + this.#timeout });
      taken.push(piece);
    }
    return taken;
  }

  #cut(largest: number): Piece | undefined {
    if (this.#ended) return undefined;
    const isLast = this.#ending && this.#backlog <= largest;
    if (!isLast && (this.#backlog === 0 || (this.#backlog < largest && this.#sent.size > 0))) return undefined;
    const bytes = new Uint8Array(Math.min(largest, this.#backlog));
    for (let filled = 0; filled < bytes.length; ) {
      const first = this.#waiting[0]!;
      const part = first.subarray(0, bytes.length - filled);
      bytes.set(part, filled);
      filled += part.length;
      if (part.length === first.length) this.#waiting.shift();
      else this.#waiting[0] = first.subarray(part.length);
    }
    this.#backlog -= bytes.length;
    this.#ended = isLast;
    return { number: this.#next++, bytes, end: isLast };
  }

  /** Halves the flight, once for all pieces that were lost together. */
  #lose(number: number): void {
    if (number < this.#recovered) return;
    this.#recovered = this.#next;
    this.#flight = Math.max(2, Math.floor(this.#flight / 2));
    this.#threshold = this.#flight;
  }

  /** Applies the acknowledgement of a frame. Throws when it names a piece that was never sent. */
  acknowledge({ next, beyond, limit }: Pick<Frame, "next" | "beyond" | "limit">, now: number): void {
    if (next > this.#next || (beyond.at(-1) ?? -1) >= this.#next)
      throw new Error("the acknowledged piece was never sent");
    // Frames overtake each other: a limit is never withdrawn.
    this.#limit = Math.max(this.#limit, limit);
    for (const number of this.#sent.keys()) if (number < next) this.#arrived(number, now);
    for (const number of beyond) this.#arrived(number, now);
  }

  #arrived(number: number, now: number): void {
    const piece = this.#sent.get(number);
    if (!piece) return;
    this.#sent.delete(number);
    // Of a piece that was sent twice it is unknown which copy arrived.
    if (piece.attempts === 1) this.#measure(now - piece.at);
    const more = this.#flight < this.#threshold ? 1 : 1 / this.#flight;
    this.#flight = Math.min(this.#limits.flight, this.#flight + more);
  }

  #measure(milliseconds: number): void {
    const was = this.#roundTrip;
    const mean = was ? was.mean * 0.875 + milliseconds * 0.125 : milliseconds;
    const deviation = was ? was.deviation * 0.75 + Math.abs(was.mean - milliseconds) * 0.25 : milliseconds / 2;
    this.#roundTrip = { mean, deviation };
    this.#timeout = Math.min(Math.max(mean + 4 * deviation, timeouts.least), timeouts.most);
  }
}
