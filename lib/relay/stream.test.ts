import { once } from "node:events";
import { buffer } from "node:stream/consumers";
import { expect, test } from "vitest";
import { systemClock } from "#base";
import { relayStream } from "./index.ts";

function join(pass: () => boolean = () => true) {
  const over: (string | undefined)[] = [];
  const told = (error?: Error) => over.push(error?.message);
  const options = { clock: systemClock, over: told };
  const later = (run: () => void) => pass() && setTimeout(run, Math.random() * 5);
  const one = relayStream({ ...options, opens: true, send: (frame) => later(() => two.take(frame)) });
  const two = relayStream({ ...options, opens: false, send: (frame) => later(() => one.take(frame)) });
  for (const { stream } of [one, two]) stream.on("error", () => {});
  return { one: one.stream, two: two.stream, over };
}

test("streams have back-pressure and half-close, and both ends end in order", async () => {
  let dropped = 0;
  const { one, two, over } = join(() => ++dropped % 17 !== 0);
  const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, place) => place % 251));
  two.pipe(two);
  one.end(bytes);
  expect((await buffer(one)).equals(bytes)).toBe(true);
  await expect.poll(() => over, { timeout: 10_000 }).toEqual([undefined, undefined]);
});

test("a writer waits while the other end is not read", async () => {
  const { one, two } = join();
  for (let writes = 0; writes < 30; writes++) one.write(Buffer.alloc(100_000));
  await new Promise((done) => setTimeout(done, 300));
  expect(one.writableLength).toBeGreaterThan(1_500_000);
  expect(two.readableLength).toBeLessThan(200_000);
  one.destroy();
  await expect.poll(() => two.destroyed).toBe(true);
});

test("destroying one end destroys the other, with the reason", async () => {
  const { one, two, over } = join();
  one.write("hello");
  await once(two, "readable");
  const failed = once(one, "error");
  two.destroy(new Error("the container has gone"));
  expect((await failed)[0].message).toBe("the container has gone");
  expect(over).toEqual(["the container has gone", "the container has gone"]);
});
