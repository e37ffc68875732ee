import { once } from "node:events";
import { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { constants, createDeflate, deflateSync, inflateSync } from "node:zlib";
import { expect, test, vi } from "vitest";
import { dictionary } from "./dictionary.ts";
import { SpdyConnection } from "./index.ts";

/** Two ends of one wire. */
function wire(): [Duplex, Duplex] {
  const [a, b] = [0, 1].map(
    () =>
      new Duplex({
        read() {},
        write(chunk, _encoding, done) {
          other(this).push(chunk);
          done();
        },
        final(done) {
          other(this).push(null);
          done();
        },
      }),
  ) as [Duplex, Duplex];
  const other = (end: Duplex): Duplex => (end === a ? b : a);
  return [a, b];
}

test("streams carry data both ways, end independently, and any inflater reads the headers", async () => {
  const [client, server] = wire();
  const connection = new SpdyConnection(client);
  const first = connection.open({ StreamType: "stdin" });
  const second = connection.open({ streamtype: "stdout" });
  first.end("typed");
  second.end();
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  let bytes = server.read() as Buffer;
  const frames: { start: Buffer; body: Buffer }[] = [];
  while (bytes.length > 0) {
    const length = 8 + bytes.readUIntBE(5, 3);
    frames.push({ start: bytes.subarray(0, 8), body: bytes.subarray(8, length) });
    bytes = bytes.subarray(length);
  }
  const opens = frames.filter(({ start }) => start.readUInt32BE(0) === 0x80030001);
  expect(opens.map(({ body }) => body.readUInt32BE(0))).toEqual([1, 3]);
  expect(inflateSync(opens[0]!.body.subarray(10), { finishFlush: 2 }).toString("latin1")).toBe(
    "\0\0\0\x01\0\0\0\x0astreamtype\0\0\0\x05stdin",
  );
  const data = frames.filter(({ start }) => start[0] === 0 && start.readUInt32BE(0) === 1);
  expect(data.map(({ start, body }) => [start[4], body.toString()])).toEqual([
    [0, "typed"],
    [1, ""],
  ]);

  const reply = (id: number, flags: number, payload: string): void => {
    const start = Buffer.alloc(8);
    start.writeUInt32BE(id, 0);
    start.writeUInt32BE(payload.length, 4);
    start[4] = flags;
    const frame = Buffer.concat([start, Buffer.from(payload)]);
    // In two pieces: frames and packets have no common boundaries.
    server.write(frame.subarray(0, 5));
    server.write(frame.subarray(5));
  };
  reply(3, 0, "hello ");
  reply(3, 1, "there");
  expect(await text(second)).toBe("hello there");
  server.end();
  first.resume();
  connection.close();
});

test("connects both ends, and a client that compresses with the dictionary", async () => {
  const [left, right] = wire();
  const seen: Record<string, string>[] = [];
  new SpdyConnection(right, {
    accept: (stream, headers) => {
      seen.push(headers);
      stream.pipe(stream);
    },
  });
  const client = new SpdyConnection(left);
  const first = client.open({ streamtype: "data", port: "80" });
  const second = client.open({ streamtype: "data", port: "81" });
  first.end("one");
  second.end("two");
  expect([await text(first), await text(second)]).toEqual(["one", "two"]);
  expect(seen).toEqual([
    { streamtype: "data", port: "80" },
    { streamtype: "data", port: "81" },
  ]);

  const [socket, other] = wire();
  const accepted = new Promise((resolve) => {
    new SpdyConnection(other, { accept: (_stream, headers) => resolve(headers) });
  });
  const field = (value: string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(value.length);
    return Buffer.concat([length, Buffer.from(value)]);
  };
  const deflate = createDeflate({ dictionary });
  const block: Buffer[] = [];
  deflate.on("data", (part: Buffer) => block.push(part));
  deflate.write(Buffer.concat([Buffer.from([0, 0, 0, 1]), field("accept-charset"), field("utf-8")]));
  await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
  const body = Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), ...block]);
  const start = Buffer.from([0x80, 3, 0, 1, 0, 0, 0, body.length]);
  socket.write(Buffer.concat([start, body]));
  expect(await accepted).toEqual({ "accept-charset": "utf-8" });
});

test("sends a session's streams and their ends at once; keeps the data that arrived before a failure", async () => {
  const pieces: Buffer[] = [];
  const socket = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      pieces.push(chunk);
      done();
    },
    writev(chunks, done) {
      pieces.push(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)));
      done();
    },
  });
  const connection = new SpdyConnection(socket);
  const errors = connection.open({ streamtype: "error" });
  errors.end();
  const stdout = connection.open({ streamtype: "stdout" });
  stdout.end();
  const stderr = connection.open({ streamtype: "stderr" });
  stderr.end();
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(pieces).toHaveLength(1);
  // A frame's head and its bytes, too: a first write to a closed connection succeeds, a second one does not.
  const stdin = connection.open({ streamtype: "stdin" });
  await new Promise(setImmediate);
  stdin.write("typed");
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  expect(pieces).toHaveLength(3);
  // The status arrives with its end, the outputs without, and then a write fails.
  socket.push(Buffer.concat([Buffer.from([0, 0, 0, 1, 1, 0, 0, 2]), Buffer.from("{}")]));
  await new Promise(setImmediate);
  for (const stream of [stdin, stdout, stderr]) stream.on("error", () => {});
  socket.destroy(new Error("write EPIPE"));
  expect(await text(errors)).toBe("{}");
  await expect(text(stdout)).rejects.toThrow("EPIPE");
});

test("a stream that is not read stops the other side, whatever else is read", async () => {
  const [left, right] = wire();
  const opened: Duplex[] = [];
  new SpdyConnection(right, { accept: (stream) => opened.push(stream) });
  const client = new SpdyConnection(left);
  const unread = client.open({ streamtype: "data" });
  client.open({ streamtype: "data" });
  await vi.waitFor(() => expect(opened).toHaveLength(2));
  opened[1]!.resume();
  const dataFrame = (id: number, bytes: Uint8Array): Buffer => {
    const start = Buffer.alloc(8);
    start.writeUInt32BE(id, 0);
    start.writeUInt32BE(bytes.length, 4);
    return Buffer.concat([start, bytes]);
  };
  // In one piece, as from a fast sender.
  const both = Buffer.concat([dataFrame(1, Buffer.alloc(64 * 1024)), dataFrame(3, Buffer.from("more"))]);
  for (let times = 0; times < 100 && !right.isPaused(); times++) {
    right.push(both);
    await new Promise(setImmediate);
  }
  expect(opened[0]!.readableLength).toBeLessThan(1024 * 1024);
  opened[0]!.resume();
  unread.end();
  await once(opened[0]!, "end");
  client.close();
});

test("uses SPDY's dictionary", () => {
  // zlib names the dictionary by its checksum, right after the first two bytes.
  expect(deflateSync("x", { dictionary }).subarray(2, 6).toString("hex")).toBe("e3c6a7c2");
});
