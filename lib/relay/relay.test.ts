import fc from "fast-check";
import { expect, test } from "vitest";
import { type HandClock, handClock } from "#test/make";
import { defaultLimits, Relay, type RelayLimits, wireOf } from "./index.ts";

/** The delays of a frame's copies, in milliseconds; empty when the frame is lost. */
type Fate = number[];

interface End {
  relay: Relay;
  got: Buffer[];
  closed: (Error | undefined)[];
  /** Frames that were sent, and the most bytes of one. */
  frames: number;
}

const small: RelayLimits = { piece: 8, openingPiece: 4, window: 8, flight: 6, firstFlight: 2 };

/** Two ends; `fateOf` decides the delivery of each frame. With `reads`, bytes are read as soon as they arrive. */
function join(fateOf: (bytes: string) => Fate, { limits = small, reads = true } = {}) {
  const clock = handClock();
  const make = (opens: boolean, other: () => End): End => {
    const end: End = { got: [], closed: [], frames: 0, relay: undefined as never };
    const readable = () => {
      if (!reads) return;
      for (let bytes = end.relay.read(); bytes; bytes = end.relay.read()) end.got.push(Buffer.from(bytes));
    };
    const send = (frame: object) => {
      end.frames++;
      const text = JSON.stringify(frame);
      expect(wireOf(JSON.parse(text))).toEqual(frame);
      for (const delay of fateOf(text)) clock.timer(delay, () => other().relay.take(JSON.parse(text)));
    };
    const closed = (error?: Error) => end.closed.push(error);
    end.relay = new Relay({ clock, opens, limits, send, readable, writable: () => {}, closed });
    return end;
  };
  const one: End = make(true, () => two);
  const two: End = make(false, () => one);
  return { clock, one, two };
}

const run = (clock: HandClock, until: () => boolean, longest = 120_000): void => {
  for (const end = clock.now() + longest; !until() && clock.now() < end; ) clock.move(5);
};
const isOver = ({ relay: { state } }: End) => state.over;

const fates = fc.infiniteStream(
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 120 }).map((delay): Fate => [delay]) },
    { weight: 1, arbitrary: fc.constant<Fate>([]) },
    { weight: 1, arbitrary: fc.tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 1500 })) },
  ),
);
const chunks = fc.array(fc.uint8Array({ minLength: 0, maxLength: 60 }), { maxLength: 12 });

test("delivers all bytes once and in order when frames are lost, delayed and duplicated", () => {
  fc.assert(
    fc.property(chunks, chunks, fates, (there, back, delivery) => {
      const next = delivery[Symbol.iterator]();
      const { clock, one, two } = join(() => next.next().value!);
      const left = [...there];
      const right = [...back];
      const write = () => {
        if (left.length > 0) one.relay.write(left.shift()!);
        if (right.length > 0) two.relay.write(right.shift()!);
        if (left.length > 0 || right.length > 0) clock.timer(17, write);
        else {
          one.relay.end();
          two.relay.end();
        }
      };
      write();
      run(clock, () => isOver(one) && isOver(two));
      expect(Buffer.concat(two.got).equals(Buffer.concat(there))).toBe(true);
      expect(Buffer.concat(one.got).equals(Buffer.concat(back))).toBe(true);
      expect([...one.closed, ...two.closed]).toEqual([undefined, undefined]);
    }),
    { numRuns: 300 },
  );
});

test("sends each piece once when no frame is lost, with few frames that only acknowledge", () => {
  const { clock, one, two } = join(() => [20], { limits: defaultLimits });
  const bytes = Buffer.alloc(1 << 20, "x");
  one.relay.write(bytes);
  one.relay.end();
  two.relay.end();
  run(clock, () => isOver(one) && isOver(two));
  expect(Buffer.concat(two.got).length).toBe(bytes.length);
  const pieces = Math.ceil(bytes.length / defaultLimits.piece);
  expect(one.frames).toBeLessThan(pieces + 6);
  expect(two.frames).toBeLessThan(pieces / 3);
  expect(clock.now()).toBeLessThan(4000);
});

test("a reader that does not read stops the writer, and bounds the memory of both ends", () => {
  const { clock, one, two } = join(() => [10], { reads: false });
  one.relay.write(Buffer.alloc(1000, "x"));
  run(clock, () => false, 20_000);
  const passed = 1000 - one.relay.state.backlog;
  expect(passed).toBeLessThanOrEqual(small.window * small.piece);
  expect(isOver(one)).toBe(false);
  let got = 0;
  const read = () => {
    for (let bytes = two.relay.read(); bytes; bytes = two.relay.read()) got += bytes.length;
    return got === 1000;
  };
  run(clock, read);
  expect(got).toBe(1000);
});

test("detects that the window has opened when the frame that reported it was lost", () => {
  let isCut = false;
  const { clock, one, two } = join(() => (isCut ? [] : [10]), { reads: false });
  one.relay.write(Buffer.alloc(200, "x"));
  run(clock, () => false, 3000);
  isCut = true;
  let got = 0;
  const read = () => {
    for (let bytes = two.relay.read(); bytes; bytes = two.relay.read()) got += bytes.length;
    return got === 200;
  };
  read();
  run(clock, () => false, 1000);
  isCut = false;
  run(clock, read, 12_000);
  expect(got).toBe(200);
});

test("detects that the other end has gone, with and without pieces in flight", () => {
  for (const busy of [true, false]) {
    let isGone = false;
    const { clock, one, two } = join(() => (isGone ? [] : [5]));
    one.relay.write(Buffer.from("hello"));
    run(clock, () => two.got.length > 0);
    isGone = true;
    if (busy) one.relay.write(Buffer.from("more"));
    run(clock, () => isOver(one) && isOver(two), 60_000);
    expect(one.closed[0]?.message).toBe("the other end has not been heard for 45 s");
    expect(two.closed[0]?.message).toBe("the other end has not been heard for 45 s");
  }
});

test("stays open without traffic, at the cost of few frames", () => {
  const { clock, one, two } = join(() => [5]);
  one.relay.write(Buffer.from("hello"));
  run(clock, () => false, 3_600_000);
  expect([...one.closed, ...two.closed]).toEqual([]);
  expect(one.frames + two.frames).toBeLessThan(2 * 245 + 10);
});

test("a reset carries its reason and ends both ends at once", () => {
  const { clock, one, two } = join(() => [5]);
  one.relay.write(Buffer.from("hello"));
  run(clock, () => two.got.length > 0);
  two.relay.reset("the container has gone");
  run(clock, () => isOver(one), 100);
  expect([one.closed[0]?.message, two.closed[0]?.message]).toEqual(Array(2).fill("the container has gone"));
  expect(one.closed).toHaveLength(1);
});

test("marks frames as opening until a frame has arrived", () => {
  const clock = handClock();
  const opening: boolean[] = [];
  const options = { clock, limits: small, readable: () => {}, writable: () => {}, closed: () => {} };
  const end = new Relay({ ...options, opens: true, send: (_frame, isOpening) => opening.push(isOpening) });
  end.write(Buffer.from("abcdef"));
  clock.move(1000);
  end.take({ a: 1, l: 8 });
  end.write(Buffer.from("xyz"));
  clock.move(5000);
  expect(opening.slice(0, 2)).toEqual([true, true]);
  expect(opening.at(-1)).toBe(false);
});

const nonsense: [string, unknown][] = [
  ["nothing", null],
  ["a list", []],
  ["text", "frame"],
  ["no acknowledgement", { l: 1 }],
  ["a negative number", { a: -1, l: 1 }],
  ["a fraction", { a: 0.5, l: 1 }],
  ["a number beyond reason", { a: 0, l: 2 ** 50 }],
  ["bytes without a number", { a: 0, l: 1, d: "AA==" }],
  ["a piece without bytes", { a: 0, l: 1, n: 0 }],
  ["bytes that are no Base64", { a: 0, l: 1, n: 0, d: "a b" }],
  ["too many bytes", { a: 0, l: 1, n: 0, d: "A".repeat(40_000) }],
  ["a list that falls", { a: 0, l: 1, b: [3, 2] }],
  ["a list that is too long", { a: 0, l: 1, b: Array.from({ length: 200 }, (_, index) => index + 1) }],
  ["a reason that is too long", { a: 0, l: 1, r: "x".repeat(201) }],
  ["a malformed flag", { a: 0, l: 1, e: true, n: 0 }],
  ["an unknown member", { a: 0, l: 1, path: "/exec" }],
];

test.each(nonsense)("refuses a frame: %s", (_name, frame) => {
  expect(() => wireOf(frame)).toThrow(TypeError);
});

test("ignores frames that cannot be true", () => {
  const { clock, one, two } = join(() => [5]);
  one.relay.write(Buffer.from("hel"));
  run(clock, () => two.got.length > 0);
  for (const frame of [{ a: 900, l: 1000 }, { a: 1, b: [7], l: 1000 }, "nonsense", { n: 5000, d: "AAAA", a: 1, l: 9 }])
    one.relay.take(frame);
  one.relay.write(Buffer.from("lo"));
  one.relay.end();
  two.relay.end();
  run(clock, () => isOver(one) && isOver(two));
  expect(Buffer.concat(two.got).toString()).toBe("hello");
  expect(Buffer.concat(one.got).length).toBe(0);
});
