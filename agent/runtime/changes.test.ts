import { expect, test } from "vitest";
import { silentLog, sleep } from "#base";
import { handClock } from "#test/make";
import { relistChanges } from "./changes.ts";

/** How often the runtime is listed in two seconds in which an event comes each millisecond. */
async function listsDuringEvents(listMilliseconds: number): Promise<number> {
  const clock = handClock();
  const stop = new AbortController();
  let lists = 0;
  const source = {
    clock,
    log: silentLog,
    states: async () => {
      lists++;
      await sleep(clock, listMilliseconds);
      return new Map<string, string>();
    },
    async *events(signal: AbortSignal) {
      while (!signal.aborted) {
        await sleep(clock, 1, signal);
        yield {};
      }
    },
  };
  const followed = (async () => {
    for await (const _uid of relistChanges(source, stop.signal)) {
      // Nothing changes.
    }
  })();
  await clock.forward(2000);
  stop.abort();
  await clock.forward(1000);
  await followed;
  return lists;
}

test("lists take at most about a tenth of the time while events never cease", async () => {
  expect(await listsDuringEvents(40)).toBeLessThanOrEqual(6);
});

test("a quick list follows each burst of events at once", async () => {
  expect(await listsDuringEvents(1)).toBeGreaterThan(70);
});
