import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeMessage, decodeRequest } from "./decode.ts";
import { encodeMessage, largestMessage } from "./encode.ts";
import { FrameReader, frameOf } from "./frames.ts";
import { dataOf, flagBits, layoutOf, type Message, type ResourceRecord, rcodeOf, rcodes, types } from "./message.ts";
import { isInZone, labelsOf, lowerCase, nameOf, parseName, textOf } from "./name.ts";

const bytes = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ""), "hex");
const latin1 = (array: Uint8Array): string => Buffer.from(array).toString("latin1");

const label = fc.oneof(
  fc.stringMatching(/^[a-zA-Z0-9-]{1,12}$/),
  fc.uint8Array({ minLength: 1, maxLength: 63 }).map(latin1),
);
const name = fc.array(label, { maxLength: 6 }).map((labels) => nameOf(labels) ?? "");
const data = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const record: fc.Arbitrary<ResourceRecord> = fc
  .record({
    name,
    type: fc.oneof(fc.constantFrom(1, 2, 5, 6, 12, 15, 16, 28, 33, 39), fc.integer({ min: 64, max: 65_535 })),
    class: fc.constant(1),
    ttl: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    targets: fc.array(name, { minLength: 2, maxLength: 2 }),
    tail: data(40),
  })
  .map(({ type, targets, tail, ...rest }) => {
    const { head, names } = layoutOf(type);
    if (names === 0) return { ...rest, type, data: dataOf({ head: tail }) };
    return { ...rest, type, data: dataOf({ head: Buffer.alloc(head, 7), names: targets.slice(0, names), tail }) };
  });
const message: fc.Arbitrary<Message> = fc.record({
  id: fc.integer({ min: 0, max: 65_535 }),
  flags: fc.integer({ min: 0, max: 65_535 }),
  question: fc.option(fc.record({ name, type: fc.integer({ min: 1, max: 65_535 }), class: fc.constant(1) }), {
    nil: undefined,
  }),
  answers: fc.array(record, { maxLength: 8 }),
  authorities: fc.array(record, { maxLength: 2 }),
  additionals: fc.array(record, { maxLength: 4 }),
  edns: fc.option(
    fc.record({
      size: fc.integer({ min: 0, max: 65_535 }),
      version: fc.constant(0),
      dnssec: fc.boolean(),
      extendedRcode: fc.integer({ min: 0, max: 255 }),
    }),
    { nil: undefined },
  ),
});

/** Compression does not keep the case of a name whose suffix is in the message in another case. */
const folded = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value ?? null), (key, inner: unknown) => {
    if (key === "name") return lowerCase(String(inner));
    return key === "names" ? (inner as string[]).map(lowerCase) : inner;
  });

test("an encoded message decodes to itself", () => {
  fc.assert(
    fc.property(message, (given) => {
      expect(folded(decodeMessage(encodeMessage(given)))).toEqual(folded(given));
    }),
  );
});

test("a truncated message fits, has TC, and holds the first records", () => {
  fc.assert(
    fc.property(message, fc.integer({ min: 0, max: 1500 }), (given, limit) => {
      const packet = encodeMessage(given, limit);
      expect(packet.length).toBeLessThanOrEqual(Math.max(limit, 512));
      const read = decodeMessage(packet)!;
      expect(folded(read.question)).toEqual(folded(given.question));
      expect(read.edns).toEqual(given.edns);
      for (const section of ["answers", "authorities", "additionals"] as const) {
        expect(folded(read[section])).toEqual(folded(given[section].slice(0, read[section].length)));
      }
      const whole = encodeMessage(given).length <= Math.max(limit, 512);
      expect(read.flags).toBe(whole ? given.flags : given.flags | flagBits.truncated);
    }),
  );
});

test("no packet makes the decoder throw", () => {
  const packet = fc.oneof(
    data(600),
    // A header with small counts before anything.
    fc
      .tuple(fc.uint8Array({ minLength: 4, maxLength: 4 }), data(300))
      .map(([head, rest]) => Buffer.concat([Buffer.from(head), bytes("0001 0001 0000 0001"), rest])),
    // A well-formed message with some bytes changed, or cut off.
    fc
      .tuple(message, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
      .map(([given, edits, end]) => {
        const whole = encodeMessage(given);
        for (const [at, value] of edits) whole[at % whole.length] = value;
        return whole.subarray(0, end % (whole.length + 1));
      }),
  );
  fc.assert(
    fc.property(packet, (given) => {
      decodeMessage(given);
      expect(decodeRequest(given).outcome).toMatch(/^(drop|refuse|answer)$/);
    }),
    { numRuns: 2000 },
  );
});

const header = (counts: string, flags = "0100"): string => `abcd ${flags} ${counts}`;
const question = "03 777777 00 0001 0001";
// The rcodes are those of miekg/dns v1.1.73, acceptfunc.go and server.go (serveDNS), and of CoreDNS v1.15.0's ServeDNS.
const malformed: [string, string, number | "drop" | "answer"][] = [
  ["a packet without a whole header", "abcd 0100 0001 0000 0000", "drop"],
  ["an answer", header("0001 0000 0000 0000", "8100") + question, "drop"],
  ["an update", header("0001 0000 0000 0000", "2800") + question, rcodes.NOTIMP],
  ["no question", header("0000 0000 0000 0000"), rcodes.FORMERR],
  ["two questions", header("0002 0000 0000 0000") + question + question, rcodes.FORMERR],
  ["three additional records", header("0001 0000 0000 0003") + question, rcodes.FORMERR],
  ["a question that is cut off", header("0001 0000 0000 0000") + "03 7777", rcodes.FORMERR],
  ["a pointer to itself", header("0001 0000 0000 0000") + "c00c 0001 0001", rcodes.FORMERR],
  ["a pointer that leads forwards", header("0001 0000 0000 0000") + "c00e 00 0001 0001", rcodes.FORMERR],
  ["two pointers to each other", header("0001 0000 0000 0000") + "01 61 c00f c00c 0001 0001", rcodes.FORMERR],
  ["a label of 64 bytes", header("0001 0000 0000 0000") + "40" + "61".repeat(64) + "00 0001 0001", rcodes.FORMERR],
  ["a name of 256 bytes", header("0001 0000 0000 0000") + ("3f" + "61".repeat(63)).repeat(4) + "00 0001 0001", 1],
  ["an additional record that is cut off", header("0001 0000 0000 0001") + question + "00 0029", rcodes.FORMERR],
  ["the class CH", header("0001 0000 0000 0000") + "03 777777 00 0001 0003", rcodes.REFUSED],
  ["version 1 of EDNS", header("0001 0000 0000 0001") + question + "00 0029 1000 00 01 0000 0000", rcodes.BADVERS],
  ["a question", header("0001 0000 0000 0000") + question, "answer"],
  ["a question with EDNS", header("0001 0000 0000 0001") + question + "00 0029 1000 00 00 8000 0000", "answer"],
  ["bytes after the message", header("0001 0000 0000 0000") + question + "ffff", "answer"],
];

test.each(malformed)("decodes %s", (_name, hex, expected) => {
  const request = decodeRequest(bytes(hex));
  expect(request.outcome === "refuse" ? request.rcode : request.outcome).toBe(expected);
});

test("a request has the size and the DO bit of its OPT record", () => {
  const packet = bytes(`${header("0001 0000 0000 0001")} ${question} 00 0029 04d0 00 00 8000 0000`);
  expect(decodeRequest(packet)).toMatchObject({ edns: { size: 1232, dnssec: true, version: 0 }, questionEnd: 21 });
});

test("names are compressed, but not the target of an SRV record", () => {
  const zone = parseName("a.headless.default.svc.cluster.local.")!;
  const record = (type: number, target: string): ResourceRecord => ({
    name: zone,
    type,
    class: 1,
    ttl: 30,
    data: dataOf({ head: Buffer.alloc(layoutOf(type).head), names: [target] }),
  });
  const sizeOf = (answers: ResourceRecord[]): number =>
    encodeMessage({ id: 1, flags: 0, answers, authorities: [], additionals: [] }).length;
  // Header, owner, fixed fields, and "b" before a pointer.
  const target = parseName("b.headless.default.svc.cluster.local.")!;
  expect(sizeOf([record(types.CNAME, target)])).toBe(12 + zone.length + 1 + 10 + 4);
  expect(sizeOf([record(types.SRV, target)])).toBe(12 + zone.length + 1 + 10 + 6 + target.length + 1);
  // Thirty addresses of one name, in fewer bytes than dns-packet's 1,242.
  const addresses = Array.from({ length: 30 }, (_, index) => ({
    ...record(types.A, ""),
    data: dataOf({ head: Buffer.from([10, 0, 0, index]) }),
  }));
  expect(sizeOf(addresses)).toBe(12 + zone.length + 1 + 14 + 29 * 16);
});

test("a rcode above 15 is split between the header and the OPT record", () => {
  const edns = { size: 1232, version: 0, dnssec: false, extendedRcode: 1 };
  const packet = encodeMessage({ id: 1, flags: 0x8000, answers: [], authorities: [], additionals: [], edns });
  expect(rcodeOf(decodeMessage(packet)!)).toBe(rcodes.BADVERS);
});

test("messages over TCP arrive whole however the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(data(300), { maxLength: 5 }), fc.array(fc.integer({ min: 1, max: 40 })), (messages, cuts) => {
      const reader = new FrameReader();
      let stream = Buffer.concat(messages.map(frameOf));
      const read: Buffer[] = [];
      for (const cut of cuts) {
        read.push(...reader.push(stream.subarray(0, cut)));
        stream = stream.subarray(cut);
      }
      read.push(...reader.push(stream));
      expect(read).toEqual(messages);
      expect(reader.incomplete).toBe(false);
    }),
  );
  expect(() => frameOf(Buffer.alloc(largestMessage + 1))).toThrow(RangeError);
});

test("names", () => {
  expect(textOf(parseName("Web.default.svc")!)).toBe("Web.default.svc.");
  expect(textOf(nameOf(["a.b", "\x00\xe9\\"])!)).toBe("a\\.b.\\000\\233\\\\.");
  expect(parseName(".")).toBe("");
  expect(parseName("a..b")).toBeUndefined();
  expect(nameOf(["a".repeat(64)])).toBeUndefined();
  expect(nameOf(Array.from({ length: 4 }, () => "a".repeat(63)))).toBeUndefined();
  expect(labelsOf(parseName("a.b.c")!)).toEqual(["a", "b", "c"]);
  expect(lowerCase(nameOf(["Web", "\xc9A"])!)).toBe(nameOf(["web", "\xc9a"]));
  expect(isInZone(parseName("web.cluster.local")!, parseName("cluster.local")!)).toBe(true);
  expect(isInZone(parseName("mycluster.local")!, parseName("cluster.local")!)).toBe(false);
  expect(isInZone(parseName("cluster.local")!, parseName("cluster.local")!)).toBe(true);
  // The zone's bytes at the end of a label are not the zone.
  expect(isInZone(nameOf(["a\x05local"])!, parseName("local")!)).toBe(false);
});
