import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { silentLog } from "#base";
import { handClock } from "#test/make";
import { type Delivery, responseOf } from "./response.ts";

const json = { "content-type": "application/json" };

/** A stream of two events, the second when it is told; and whether its end was heard of. */
function events(delivery?: Delivery) {
  const clock = handClock(0);
  const second = Promise.withResolvers<void>();
  const heard = { returned: false, closed: false };
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      yield Buffer.from('{"n":1}\n');
      await second.promise;
      yield Buffer.from('{"n":2}\n');
    } finally {
      heard.returned = true;
    }
  }
  const answer = responseOf(
    { status: 200, headers: json, body: body() },
    { clock, log: silentLog, closed: () => (heard.closed = true), delivery },
  );
  return { clock, second, heard, read: () => text(answer.body as never) };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test("a newline follows each batch, and others a quiet stream", async () => {
  const { clock, second, read } = events("newline");
  const all = read();
  await settle();
  clock.move(20);
  await settle();
  clock.move(10_000);
  await settle();
  second.resolve();
  expect(await all).toBe('{"n":1}\n\n\n{"n":2}\n');
});

test("blanks push an event out; the stream goes on", async () => {
  const { second, read } = events("padding");
  second.resolve();
  const all = await read();
  expect(all.split(/\s+/)).toEqual(['{"n":1}', '{"n":2}', ""]);
  expect(all.length).toBeGreaterThan(200 * 1024);
});

test("a stream that ends after its first batch lets the watch go", async () => {
  const { heard, read } = events("close");
  expect(await read()).toBe('{"n":1}\n');
  expect(heard).toEqual({ returned: true, closed: true });
});

test("what is no watch comes whole, as it is", async () => {
  const { second, read } = events();
  second.resolve();
  expect(await read()).toBe('{"n":1}\n{"n":2}\n');
});
