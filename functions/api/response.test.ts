import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { silentLog } from "#base";
import { handClock } from "#test/make";
import { type Delivery, responseOf } from "./response.ts";

const json = { "content-type": "application/json" };

/** A stream of two events, the second after `second` resolves; `ended` records how the stream ended. */
function events(delivery?: Delivery) {
  const clock = handClock(0);
  const second = Promise.withResolvers<void>();
  const ended = { returned: false, closed: false };
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      yield Buffer.from('{"n":1}\n');
      await second.promise;
      yield Buffer.from('{"n":2}\n');
    } finally {
      ended.returned = true;
    }
  }
  const answer = responseOf(
    { status: 200, headers: json, body: body() },
    { clock, log: silentLog, closed: () => (ended.closed = true), delivery },
  );
  return { clock, second, ended, read: () => text(answer.body as never) };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test("a newline follows each batch, and keeps a quiet stream open", async () => {
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

test("padding pushes an event out, and the stream continues", async () => {
  const { second, read } = events("padding");
  second.resolve();
  const all = await read();
  expect(all.split(/\s+/)).toEqual(['{"n":1}', '{"n":2}', ""]);
  expect(all.length).toBeGreaterThan(200 * 1024);
});

test("a stream that ends after its first batch ends the watch", async () => {
  const { ended, read } = events("close");
  expect(await read()).toBe('{"n":1}\n');
  expect(ended).toEqual({ returned: true, closed: true });
});

test("a response that is not a watch is sent unchanged", async () => {
  const { second, read } = events();
  second.resolve();
  expect(await read()).toBe('{"n":1}\n{"n":2}\n');
});
