export interface Piece {
  number: number;
  bytes: Uint8Array;
  end: boolean;
}

interface Sent extends Piece {
  at: number;
  attempts: number;
  /** When it is sent again. */
  due: number;
}

export interface OutgoingLimits {
  /** Bytes of a piece. */
  piece: number;
  /** Pieces that may be on their way at once, and with how many it begins. */
  flight: number;
  firstFlight: number;
}

/** When a piece is taken for lost, in milliseconds: the first guess, and what later ones stay between. */
const patience = { first: 1000, least: 200, most: 5000 };

/**
 * Bytes on their way out: cut into pieces, kept until they are acknowledged, sent again when they are not. How many are
 * on their way at once follows what gets through, as TCP has it (RFC 5681, RFC 6298). Small pieces wait for one another
 * while something is on its way: each costs as much as a full one.
 */
export class Outgoing {
  readonly #limits: OutgoingLimits;
  readonly #waiting: Uint8Array[] = [];
  #backlog = 0;
  readonly #sent = new Map<number, Sent>();
  #next = 0;
  /** Pieces below have a place at the other end. */
  #limit: number;
  #ending = false;
  #ended = false;
  #flight: number;
  #threshold: number;
  /** Losses below this number have been answered for already. */
  #recovered = 0;
  #patience = patience.first;
  #roundTrip: { mean: number; deviation: number } | undefined;

  constructor(limits: OutgoingLimits) {
    this.#limits = limits;
    // Every window is at least so large.
    this.#limit = limits.firstFlight;
    this.#flight = limits.firstFlight;
    this.#threshold = limits.flight;
  }

  /** Bytes that have not been sent once. */
  get backlog(): number {
    return this.#backlog;
  }

  /** Everything has arrived, and there will be no more. */
  get done(): boolean {
    return this.#ended && this.#sent.size === 0;
  }

  get ending(): boolean {
    return this.#ending;
  }

  /** There is something to send, and no place for it: only the other end can say when there is. */
  get blocked(): boolean {
    return this.#sent.size === 0 && this.#next >= this.#limit && (this.#backlog > 0 || (this.#ending && !this.#ended));
  }

  get patience(): number {
    return this.#patience;
  }

  offer(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#waiting.push(bytes);
    this.#backlog += bytes.length;
  }

  end(): void {
    this.#ending = true;
  }

  /** When the earliest piece is to be sent again. */
  dueAt(): number | undefined {
    let due: number | undefined;
    for (const piece of this.#sent.values()) if (due === undefined || piece.due < due) due = piece.due;
    return due;
  }

  /** What is to be sent now. */
  take(now: number, largest = this.#limits.piece): Piece[] {
    const due = [...this.#sent.values()].filter((piece) => piece.due <= now).sort((a, b) => a.number - b.number);
    if (due.length > 0) this.#lose(due[0]!.number);
    const flying = this.#sent.size - due.length;
    const taken: Piece[] = [];
    for (const piece of due.slice(0, Math.max(1, this.#flight - flying))) {
      piece.attempts++;
      piece.at = now;
      piece.due = now + Math.min(this.#patience * 2 ** (piece.attempts - 1), patience.most);
      taken.push(piece);
    }
    if (taken.length < due.length) return taken;
    for (let open = Math.floor(this.#flight) - this.#sent.size; open > 0 && this.#next < this.#limit; open--) {
      const piece = this.#cut(Math.min(largest, this.#limits.piece));
      if (!piece) break;
      this.#sent.set(piece.number, { ...piece, at: now, attempts: 1, due: now + this.#patience });
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

  /** Fewer at once, for a while: once for all that was lost together. */
  #lose(number: number): void {
    if (number < this.#recovered) return;
    this.#recovered = this.#next;
    this.#flight = Math.max(2, Math.floor(this.#flight / 2));
    this.#threshold = this.#flight;
  }

  /** What the other end says has arrived. Throws when that was never sent. */
  acknowledge(next: number, beyond: readonly number[], limit: number, now: number): void {
    if (next > this.#next || (beyond.at(-1) ?? -1) >= this.#next) throw new Error("what was never sent has arrived");
    // Frames overtake each other: the place that was once promised stays.
    this.#limit = Math.max(this.#limit, limit);
    for (const number of this.#sent.keys()) if (number < next) this.#arrived(number, now);
    for (const number of beyond) this.#arrived(number, now);
  }

  #arrived(number: number, now: number): void {
    const piece = this.#sent.get(number);
    if (!piece) return;
    this.#sent.delete(number);
    // Of a piece that was sent twice nobody knows which one arrived.
    if (piece.attempts === 1) this.#measure(now - piece.at);
    const more = this.#flight < this.#threshold ? 1 : 1 / this.#flight;
    this.#flight = Math.min(this.#limits.flight, this.#flight + more);
  }

  #measure(milliseconds: number): void {
    const was = this.#roundTrip;
    const mean = was ? was.mean * 0.875 + milliseconds * 0.125 : milliseconds;
    const deviation = was ? was.deviation * 0.75 + Math.abs(was.mean - milliseconds) * 0.25 : milliseconds / 2;
    this.#roundTrip = { mean, deviation };
    this.#patience = Math.min(Math.max(mean + 4 * deviation, patience.least), patience.most);
  }
}
