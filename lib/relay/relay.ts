import type { Clock, Timer } from "#base";
import { type Frame, frameOf, largestPiece, toWire, type WireFrame, wireOf } from "./frame.ts";
import { Incoming } from "./incoming.ts";
import { Outgoing } from "./outgoing.ts";

export interface RelayLimits {
  /** Bytes of a piece, and of one that is sent before any frame has arrived. */
  piece: number;
  openingPiece: number;
  /** Pieces that wait at this end, read or not; at most 128. */
  window: number;
  /** Pieces in flight from this end, at most and at first; at most the other end's window. */
  flight: number;
  firstFlight: number;
}

export const defaultLimits: RelayLimits = {
  piece: largestPiece,
  openingPiece: 12 * 1024,
  window: 32,
  flight: 16,
  firstFlight: 4,
};

export interface RelayOptions {
  clock: Clock;
  /** Sends a frame, or loses it. `isOpening` until a frame has arrived from the other end. */
  send(frame: WireFrame, isOpening: boolean): void;
  /** There are bytes to read, or the end has arrived. */
  readable(): void;
  /** Fewer bytes wait to be sent, or everything has arrived. */
  writable(): void;
  /** Called once, when the relay is over; with an error unless it ended in order. */
  closed(error?: Error): void;
  /** This end opens the relay: its frames are marked as opening until a frame has arrived. */
  opens: boolean;
  /** Defaults to `defaultLimits`. */
  limits?: RelayLimits | undefined;
}

export interface RelayState {
  /** Bytes that have not been sent once. */
  backlog: number;
  /** Everything that was written has arrived, and the end of it. */
  sent: boolean;
  /** Everything has been read, and the end of it. */
  received: boolean;
  over: boolean;
}

/** Pieces that are acknowledged together, and how long one waits for others, in milliseconds. */
const together = { pieces: 4, wait: 30 };
/**
 * Milliseconds of silence after which the other end is asked for an answer (earlier by the end that opens the relay),
 * and after which it is given up.
 */
const silence = { askFirst: 15_000, ask: 20_000, giveUp: 45_000 };
/** Milliseconds for which a complete relay lingers, since its last acknowledgement may have been lost. */
const lingering = 3000;
const never = Number.POSITIVE_INFINITY;

/** One end of a relay. All times are the clock's; no frame is sent before the caller has returned to the event loop. */
export class Relay {
  readonly #options: RelayOptions;
  readonly #clock: Clock;
  readonly #limits: RelayLimits;
  readonly #incoming: Incoming;
  readonly #outgoing: Outgoing;
  readonly #askAfter: number;
  #heardAt: number;
  #isHeard = false;
  #askedAt: number;
  /** When the pieces that have arrived are acknowledged, and how many arrived since the last acknowledgement. */
  #acknowledgeAt = never;
  #unacknowledged = 0;
  /** The limit that the other end has received last. */
  #sentLimit: number;
  #probeAt = never;
  #probes = 0;
  #lingersUntil: number | undefined;
  #isOver = false;
  #isComplete = false;
  #timer: { at: number; set: Timer } | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#limits = options.limits ?? defaultLimits;
    this.#incoming = new Incoming(this.#limits.window);
    this.#outgoing = new Outgoing(this.#limits);
    this.#askAfter = options.opens ? silence.askFirst : silence.ask;
    this.#heardAt = this.#clock.now();
    this.#askedAt = this.#heardAt;
    this.#sentLimit = this.#limits.firstFlight;
    this.#arm();
  }

  get state(): RelayState {
    return {
      backlog: this.#outgoing.backlog,
      sent: this.#outgoing.done,
      received: this.#incoming.done,
      over: this.#isOver,
    };
  }

  write(bytes: Uint8Array): void {
    this.#outgoing.offer(bytes);
    this.#work();
  }

  /** Ends the writing half. */
  end(): void {
    this.#outgoing.end();
    this.#work();
  }

  /** The next bytes; undefined when none have arrived. */
  read(): Uint8Array | undefined {
    const bytes = this.#incoming.read();
    // An end that was refused more pieces must learn that there is room again.
    if (this.#incoming.limit - this.#sentLimit >= this.#limits.window / 2) this.#acknowledgeAt = this.#clock.now();
    this.#work();
    return bytes;
  }

  /**
   * Accepts a frame that has arrived. Malformed and impossible frames are dropped. A relay that is over still answers:
   * the other end may not know it yet.
   */
  take(received: unknown): void {
    const frame = parse(received);
    if (!frame) return;
    if (this.#isOver) {
      // An end that still sends pieces has missed the last acknowledgement.
      if (this.#isComplete && frame.number !== undefined) this.#send({});
      return;
    }
    if (frame.reset !== undefined) {
      this.#close(new Error(frame.reset));
      return;
    }
    try {
      this.#accept(frame);
    } catch {
      return;
    }
    this.#work();
    if (this.#isOver) return;
    this.#options.readable();
    this.#options.writable();
  }

  /** Ends the relay at once and sends the reason to the other end. */
  reset(reason: string): void {
    if (this.#isOver) return;
    this.#send({ reset: reason });
    this.#close(new Error(reason));
  }

  /** Applies a frame; throws when it cannot be true. */
  #accept(frame: Frame): void {
    const now = this.#clock.now();
    this.#outgoing.acknowledge(frame, now);
    const isNew = this.#incoming.take(frame);
    this.#heardAt = now;
    this.#isHeard = true;
    if (frame.number === undefined && !frame.ask) return;
    this.#unacknowledged++;
    // The acknowledgement of a piece that arrives again was lost.
    const isUrgent = frame.ask || !isNew || this.#unacknowledged >= together.pieces;
    this.#acknowledgeAt = isUrgent ? now : Math.min(this.#acknowledgeAt, now + together.wait);
  }

  /** Does everything that is due, and sets the timer for what is due next. */
  #work(): void {
    if (this.#isOver) return;
    const now = this.#clock.now();
    if (this.#lingersUntil !== undefined && now >= this.#lingersUntil) {
      this.#close();
      return;
    }
    if (this.#lingersUntil === undefined && now - this.#heardAt >= silence.giveUp) {
      this.reset(`the other end has not been heard for ${silence.giveUp / 1000} s`);
      return;
    }
    this.#sendPieces(now);
    this.#probe(now);
    if (now >= this.#acknowledgeAt) this.#send({});
    if (this.#outgoing.done && this.#incoming.done) this.#lingersUntil ??= now + lingering;
    this.#arm();
  }

  #sendPieces(now: number): void {
    const isFull = this.#isHeard || !this.#options.opens;
    const largest = isFull ? this.#limits.piece : this.#limits.openingPiece;
    for (const { number, bytes, end } of this.#outgoing.take(now, largest)) {
      this.#send({ number, bytes, ...(end ? { end } : {}) });
    }
  }

  /** Asks for an answer when the other end is silent, or has had no room for the next piece. */
  #probe(now: number): void {
    if (!this.#outgoing.blocked) {
      this.#probeAt = never;
      this.#probes = 0;
    } else if (this.#probeAt === never) this.#probeAt = now + this.#outgoing.timeout;
    const isSilent = now - Math.max(this.#heardAt, this.#askedAt) >= this.#askAfter;
    if (now < this.#probeAt && !isSilent) return;
    this.#askedAt = now;
    if (now >= this.#probeAt) this.#probeAt = now + Math.min(this.#outgoing.timeout * 2 ** ++this.#probes, 5000);
    this.#send({ ask: true });
  }

  /** Sends a frame; every frame acknowledges all that has arrived. */
  #send(content: Partial<Frame>): void {
    const { next, limit } = this.#incoming;
    this.#sentLimit = limit;
    this.#acknowledgeAt = never;
    this.#unacknowledged = 0;
    const frame = { next, beyond: this.#incoming.beyond(), limit, ...content };
    this.#options.send(toWire(frame), this.#options.opens && !this.#isHeard);
  }

  #close(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isComplete = error === undefined;
    this.#timer?.set.cancel();
    this.#options.closed(error);
  }

  /** Sets the one timer to the earliest of all that is due. */
  #arm(): void {
    if (this.#isOver) return;
    const heardAt = this.#heardAt;
    const at = Math.min(
      this.#outgoing.dueAt() ?? never,
      this.#acknowledgeAt,
      this.#probeAt,
      this.#lingersUntil ?? Math.min(Math.max(heardAt, this.#askedAt) + this.#askAfter, heardAt + silence.giveUp),
    );
    if (this.#timer?.at === at) return;
    this.#timer?.set.cancel();
    const run = (): void => {
      this.#timer = undefined;
      this.#work();
    };
    this.#timer = { at, set: this.#clock.timer(Math.max(0, at - this.#clock.now()), run) };
  }
}

function parse(received: unknown): Frame | undefined {
  try {
    return frameOf(wireOf(received));
  } catch {
    return undefined;
  }
}
