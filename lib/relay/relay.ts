import type { Clock, Timer } from "#base";
import { type Frame, frameOf, largestPiece, toWire, type WireFrame, wireOf } from "./frame.ts";
import { Incoming } from "./incoming.ts";
import { Outgoing, type Piece } from "./outgoing.ts";

export interface RelayLimits {
  /** Bytes of a piece, and of one that is sent before anything was heard. */
  piece: number;
  openingPiece: number;
  /** Pieces that wait at this end, read or not; at most 128. */
  window: number;
  /** Pieces that are on their way from here at once, and with how many it begins: at most the other's window. */
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
  /** Sends a frame, or loses it. `isOpening` until something has come from the other end. */
  send(frame: WireFrame, isOpening: boolean): void;
  /** There is something to read, or the end has come. */
  readable(): void;
  /** Less is waiting to be sent, or everything has arrived. */
  writable(): void;
  /** It is over: with an error when it ended badly. Told once. */
  closed(error?: Error): void;
  /** This end began: its frames say so until it is heard. */
  opens: boolean;
  limits?: RelayLimits;
}

/** One end of a relay. */
export interface Relay {
  write(bytes: Uint8Array): void;
  /** No more will be written. */
  end(): void;
  /** The next bytes; undefined when there are none now. */
  read(): Uint8Array | undefined;
  /** A frame has come. What is no frame, or cannot be true, is dropped. Also when it is over: the other may not know. */
  take(frame: unknown): void;
  /** Ends it at once, and tells the other end why. */
  reset(reason: string): void;
  readonly state: RelayState;
}

export interface RelayState {
  /** Bytes that have not been sent once. */
  backlog: number;
  /** Everything that was written has arrived, with its end. */
  sent: boolean;
  /** Everything has been read, with its end. */
  received: boolean;
  over: boolean;
}

/** Pieces that are acknowledged together, and how long one waits for others, in milliseconds. */
const together = { pieces: 4, wait: 30 };
/** Who has said nothing for so long is asked, by the end that began first, and then given up. */
const quiet = { askFirst: 15_000, ask: 20_000, giveUp: 45_000 };
/** The last acknowledgement may be lost: for so long it is not over yet. */
const lingering = 3000;

/** Makes one end of a relay. All times are the clock's; nothing is sent before the caller has returned to it. */
export function relay(options: RelayOptions): Relay {
  const { clock, opens, limits = defaultLimits } = options;
  const askAfter = opens ? quiet.askFirst : quiet.ask;
  const incoming = new Incoming(limits.window);
  const outgoing = new Outgoing(limits);
  let heardAt = clock.now();
  let isHeard = false;
  let askedAt = heardAt;
  /** When what has come is to be acknowledged; how many pieces have come since it was. */
  let tellAt = Number.POSITIVE_INFINITY;
  let untold = 0;
  let toldLimit = limits.firstFlight;
  let probeAt = Number.POSITIVE_INFINITY;
  let probes = 0;
  let lingersUntil: number | undefined;
  let isOver = false;
  let isComplete = false;
  let timer: { at: number; set: Timer } | undefined;

  const send = (more: Partial<Frame>): void => {
    toldLimit = incoming.limit;
    tellAt = Number.POSITIVE_INFINITY;
    untold = 0;
    const told = { next: incoming.next, beyond: incoming.beyond(), limit: toldLimit };
    options.send(toWire({ ...told, ...more }), opens && !isHeard);
  };
  const sendPiece = ({ number, bytes, end }: Piece) => send({ number, bytes, ...(end ? { end } : {}) });
  const over = (error?: Error): void => {
    if (isOver) return;
    isOver = true;
    isComplete = error === undefined;
    timer?.set.cancel();
    options.closed(error);
  };

  const work = (): void => {
    if (isOver) return;
    const now = clock.now();
    if (lingersUntil !== undefined && now >= lingersUntil) {
      over();
      return;
    }
    if (lingersUntil === undefined && now - heardAt >= quiet.giveUp) {
      const error = new Error(`the other end has not been heard for ${quiet.giveUp / 1000} s`);
      send({ reset: error.message });
      over(error);
      return;
    }
    for (const piece of outgoing.take(now, isHeard || !opens ? limits.piece : limits.openingPiece)) sendPiece(piece);
    if (!outgoing.blocked) {
      probeAt = Number.POSITIVE_INFINITY;
      probes = 0;
    } else if (probeAt === Number.POSITIVE_INFINITY) probeAt = now + outgoing.patience;
    const isQuiet = now - Math.max(heardAt, askedAt) >= askAfter;
    if (now >= probeAt || isQuiet) {
      askedAt = now;
      if (now >= probeAt) probeAt = now + Math.min(outgoing.patience * 2 ** ++probes, 5000);
      send({ ask: true });
    }
    if (now >= tellAt) send({});
    if (outgoing.done && incoming.done) lingersUntil ??= now + lingering;
    arm();
  };

  /** One timer for whatever comes first. */
  const arm = (): void => {
    if (isOver) return;
    const at = Math.min(
      outgoing.dueAt() ?? Number.POSITIVE_INFINITY,
      tellAt,
      probeAt,
      lingersUntil ?? Math.min(Math.max(heardAt, askedAt) + askAfter, heardAt + quiet.giveUp),
    );
    if (timer?.at === at) return;
    timer?.set.cancel();
    const run = (): void => {
      timer = undefined;
      work();
    };
    timer = { at, set: clock.timer(Math.max(0, at - clock.now()), run) };
  };

  /** What a frame says; throws when it cannot be true. */
  const hear = (frame: Frame): void => {
    const now = clock.now();
    outgoing.acknowledge(frame.next, frame.beyond, frame.limit, now);
    const isNew = incoming.take(frame);
    heardAt = now;
    isHeard = true;
    if (frame.number === undefined && !frame.ask) return;
    untold++;
    // A piece that came again was not known to have come.
    const isUrgent = frame.ask || !isNew || untold >= together.pieces;
    tellAt = isUrgent ? now : Math.min(tellAt, now + together.wait);
  };

  arm();
  return {
    write(bytes) {
      outgoing.offer(bytes);
      work();
    },
    end() {
      outgoing.end();
      work();
    },
    read() {
      const bytes = incoming.read();
      // Who was told that there is no place must hear that there is one again.
      if (incoming.limit - toldLimit >= limits.window / 2) tellAt = clock.now();
      work();
      return bytes;
    },
    take(given) {
      const frame = read(given);
      if (!frame) return;
      if (isOver) {
        // Who asks still has missed the last word.
        if (isComplete && frame.number !== undefined) send({});
        return;
      }
      if (frame.reset !== undefined) {
        over(new Error(frame.reset));
        return;
      }
      try {
        hear(frame);
      } catch {
        return;
      }
      work();
      if (isOver) return;
      options.readable();
      options.writable();
    },
    reset(reason) {
      if (isOver) return;
      send({ reset: reason });
      over(new Error(reason));
    },
    get state() {
      return { backlog: outgoing.backlog, sent: outgoing.done, received: incoming.done, over: isOver };
    },
  };
}

function read(given: unknown): Frame | undefined {
  try {
    return frameOf(wireOf(given));
  } catch {
    return undefined;
  }
}
