import { describe, expect, test } from "vitest";
import { configMaps } from "#api";
import { silentLog } from "#base";
import { defineController, RetryAfter, Terminal, type Work } from "#reconcile";
import { handClock, served } from "#test/make";
import {
  backoff,
  decodeMessage,
  deduplicationOf,
  dueTime,
  encodeMessage,
  type FifoQueue,
  groupOf,
  handBack,
  type Message,
  processBatch,
  type QueueRecord,
  type Sent,
  timers,
} from "./index.ts";

const work: Work = { controller: "job", key: { namespace: "default", name: "a" } };
const message = (cause: string, hops = 0, name = "a"): Message => ({
  controller: "job",
  key: { namespace: "default", name },
  cause,
  hops,
});

describe("a message", () => {
  test("is encoded and decoded without loss; a malformed body is rejected", () => {
    const cluster: Message = { controller: "node-lifecycle", key: { name: "n1" }, cause: "nodes@7", hops: 3 };
    for (const each of [message("jobs@12", 2), cluster]) expect(decodeMessage(encodeMessage(each))).toEqual(each);
    for (const body of ["", "7", "null", "{}", '{"controller":"job","name":1,"cause":"x","hops":0}', "[]"]) {
      expect(decodeMessage(body)).toBeUndefined();
    }
  });

  test("depends on key and cause, not on hops; its group depends on the key", () => {
    expect(deduplicationOf(message("jobs@12", 0))).toBe(deduplicationOf(message("jobs@12", 5)));
    expect(deduplicationOf(message("jobs@12"))).not.toBe(deduplicationOf(message("jobs@13")));
    expect(groupOf(message("jobs@12"))).toBe(groupOf(message("pods@3")));
    expect(groupOf(message("jobs@12"))).not.toBe(groupOf(message("jobs@12", 0, "b")));
  });
});

describe("keys of an earlier version", () => {
  const former: Message = { controller: "node-health", key: { name: "n1" }, cause: "nodes@7", hops: 0 };
  const present: Message = { ...former, controller: "node-lifecycle" };

  test("are decoded with the present name of their controller", () => {
    expect(decodeMessage(encodeMessage(former))).toEqual(present);
    expect(decodeMessage(encodeMessage(present))).toEqual(present);
    expect(decodeMessage(encodeMessage({ ...former, controller: "__proto__" }))?.controller).toBe("__proto__");
  });

  test("share message group and deduplication with those of the present one", () => {
    expect(groupOf(former)).toBe(groupOf(present));
    expect(deduplicationOf(former)).toBe(deduplicationOf(present));
  });

  test("are processed by the renamed controller", async () => {
    const { run } = stand(async () => ({ requeueAfter: 1 }), "node-lifecycle");
    expect(await run([taken("1", former)])).toEqual([]);
  });
});

function stand(reconcile: (name: string) => Promise<{ requeueAfter: number } | undefined>, controllerName = "job") {
  const hidden: [string, number][] = [];
  const later: [string, number][] = [];
  const hops: number[] = [];
  const controller = defineController({
    name: controllerName,
    for: configMaps,
    reconcile: (_, key) => reconcile(key.name),
  });
  const clock = handClock();
  const context = {
    client: {} as never,
    served: served([]),
    clock,
    random: {} as never,
    log: silentLog,
    record: () => {},
  };
  const run = (taken: QueueRecord[]) =>
    processBatch(taken, {
      controllers: [controller],
      context: { ...context, signal: new AbortController().signal },
      queue: { hide: async (receipt, seconds) => void hidden.push([receipt, seconds]) },
      later: async (each, milliseconds) => void later.push([each.key.name, milliseconds]),
      withHopCount: (count, go) => {
        hops.push(count);
        return go();
      },
    });
  return { run, hidden, later, hops };
}
const taken = (id: string, each: Message, receives = 1): QueueRecord => ({
  id,
  body: encodeMessage(each),
  group: groupOf(each),
  receipt: `receipt-${id}`,
  receives,
});

describe("processing a batch", () => {
  test("reconciles once for all messages of a key", async () => {
    const seen: string[] = [];
    const { run, hops } = stand(async (name) => void seen.push(name) as undefined);
    const failed = await run([
      taken("1", message("jobs@1", 4)),
      taken("2", message("jobs@2", 7)),
      taken("3", message("jobs@3", 0, "b")),
    ]);
    expect(failed).toEqual([]);
    expect(seen).toEqual(["a", "b"]);
    expect(hops).toEqual([8, 1]);
  });

  test("retries all messages of a failed key, and those of no other key", async () => {
    const { run, hidden } = stand(async (name) => {
      if (name === "a") throw new Error("not now");
      return undefined;
    });
    const batch = [
      taken("1", message("jobs@1"), 4),
      taken("2", message("jobs@3", 0, "b")),
      taken("3", message("jobs@2")),
    ];
    expect(await run(batch)).toEqual(["1", "3"]);
    // A message that stayed in flight would block its group until the queue's visibility timeout.
    expect(hidden.sort()).toEqual([
      ["receipt-1", 8],
      ["receipt-3", 8],
    ]);
  });

  test("retries a message for an unknown controller, and drops a malformed one", async () => {
    const { run, hidden } = stand(async () => undefined);
    const newer = { ...message("widgets@1"), controller: "widget" };
    const unreadable = { ...taken("2", message("jobs@1")), body: "{}", group: "none" };
    expect(await run([taken("1", newer, 2), unreadable])).toEqual(["1"]);
    expect(hidden).toEqual([["receipt-1", 2]]);
  });

  test("a failure to change one message's visibility does not affect the others", async () => {
    const hidden: string[] = [];
    const hide = async (receipt: string) => {
      if (receipt === "receipt-1") throw new Error("gone");
      hidden.push(receipt);
    };
    const group = [taken("1", message("jobs@1")), taken("2", message("jobs@2"))];
    expect(await handBack(group, { hide }, silentLog)).toEqual(["1", "2"]);
    expect(hidden).toEqual(["receipt-2"]);
  });

  test("schedules requeueAfter and RetryAfter without counting a failure; Terminal ends the key", async () => {
    const { run, later, hidden } = stand(async (name) => {
      if (name === "b") throw new RetryAfter(1500, "not yet");
      if (name === "c") throw new Terminal("never");
      return { requeueAfter: 10_000 };
    });
    const batch = ["a", "b", "c"].map((name, place) => taken(String(place), message("jobs@1", 0, name)));
    expect(await run(batch)).toEqual([]);
    expect(later.sort()).toEqual([
      ["a", 10_000],
      ["b", 1500],
    ]);
    expect(hidden).toEqual([]);
  });

  test("slows down keys that trigger each other, without losing them", async () => {
    const { run, later } = stand(async () => {
      throw new Error("must not run");
    });
    expect(await run([taken("1", message("jobs@1", 100))])).toEqual([]);
    expect(later).toEqual([["a", 30_000]]);
  });

  test("backoff doubles from a second to ten minutes", () => {
    expect([1, 2, 3, 10, 11, 50].map(backoff)).toEqual([1, 2, 4, 512, 600, 600]);
  });
});

describe("timers", () => {
  const open = (answer?: () => Error | undefined) => {
    const clock = handClock(Date.parse("2030-01-01T00:00:00.400Z"));
    const started: { name: string; input: Record<string, string> }[] = [];
    const sent: Sent[] = [];
    const rows: number[] = [];
    const later = timers({
      sfn: {
        send: async ({ input }: { input: { name: string; input: string } }) => {
          started.push({ name: input.name, input: JSON.parse(input.input) });
          const error = answer?.();
          if (error) throw error;
        },
      } as never,
      machine: "arn:machine",
      queue: { send: async (messages: readonly Sent[]) => void sent.push(...messages) } as FifoQueue,
      queueUrl: "https://queue",
      due: { put: async (_, at) => void rows.push(at), sweep: async () => 0 },
      clock,
    });
    return { clock, later, started, sent, rows };
  };

  test("rounds times up to a second, or to five beyond ten", () => {
    expect(dueTime(1400, 100)).toBe(2000);
    expect(dueTime(1000, 10_000)).toBe(11_000);
    expect(dueTime(1000, 10_001)).toBe(15_000);
  });

  test("a short wait is an execution whose name and input depend only on key and time", async () => {
    const { clock, later, started } = open();
    await later(work, 2000);
    clock.move(300);
    await later(work, 1700);
    expect(started[0]).toEqual(started[1]);
    expect(started[0]!.name).toMatch(/^[0-9a-f]{64}$/);
    expect(started[0]!.input).toMatchObject({
      until: "2030-01-01T00:00:03Z",
      group: groupOf(work),
      queueUrl: "https://queue",
    });
    expect(decodeMessage(started[0]!.input["body"]!)).toMatchObject({ controller: "job", hops: 0 });
  });

  test("sends the message at once when the execution has run already and the time has passed", async () => {
    const { clock, later, sent } = open(() => {
      clock.move(5000);
      return Object.assign(new Error("there"), { name: "ExecutionAlreadyExists" });
    });
    await later(work, 2000);
    expect(sent).toHaveLength(1);
    const still = open(() => Object.assign(new Error("there"), { name: "ExecutionAlreadyExists" }));
    await still.later(work, 2000);
    expect(still.sent).toEqual([]);
    await expect(open(() => new Error("throttled")).later(work, 2000)).rejects.toThrow("throttled");
  });

  test("a long wait is a row of the due index", async () => {
    const { later, started, rows, sent } = open();
    await later(work, 91_000);
    expect(rows).toEqual([Date.parse("2030-01-01T00:01:35Z")]);
    expect([started.length, sent.length]).toEqual([0, 0]);
  });
});
