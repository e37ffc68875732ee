import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { InputLogEvent } from "@aws-sdk/client-cloudwatch-logs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defaultSecurity, type Runtime } from "#agent/runtime";
import { fakeRuntime } from "#agent/runtime/fake";
import { silentLog, systemClock } from "#base";
import { bounds, Gatherer } from "./batch.ts";
import { lineReader, maxPieceBytes } from "./lines.ts";
import { MemoryLimit } from "./memory-limit.ts";
import { positionsIn, resumeAfter } from "./positions.ts";
import { putTo } from "./put.ts";
import { ship } from "./shipment.ts";
import { shipLogs } from "./shipping.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "skiff-logs-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const stamp = (second: number, nanos = "000000000") => `2026-01-01T00:00:${String(second).padStart(2, "0")}.${nanos}Z`;
const linesOf = (text: string) => lineReader().read(Buffer.from(text));

describe("lines", () => {
  test("are split with their times, whatever the chunks", () => {
    const text = `${stamp(1)} one\n${stamp(2)} \n${stamp(3)} thrée`;
    const expected = [
      [stamp(1), "one", true],
      [stamp(2), "", true],
      [stamp(3), "thrée", true],
    ];
    for (const size of [1, 7, 1000]) {
      const reader = lineReader();
      const bytes = Buffer.from(text);
      const lines = [];
      for (let at = 0; at < bytes.length; at += size) lines.push(...reader.read(bytes.subarray(at, at + size)));
      lines.push(...reader.end());
      expect(lines.map((line) => [line.stamp, line.text, line.ends])).toEqual(expected);
    }
  });

  test("longer than the limit are split at characters, and lines without a time get the last line's", () => {
    const long = "é".repeat(maxPieceBytes);
    const lines = linesOf(`${stamp(1)} ${long}\nsecond\n${stamp(2)} third\n`);
    const first = lines.filter((line) => line.stamp === stamp(1));
    expect(first.map(({ ends }) => ends)).toEqual([false, false, true, true]);
    expect(
      first
        .slice(0, 3)
        .map(({ text }) => text)
        .join(""),
    ).toBe(long);
    expect(lines.slice(3).map(({ text }) => text)).toEqual(["second", "third"]);
  });
});

describe("a position", () => {
  const text = [1, 2, 2, 2, 3].map((second, index) => `${stamp(second)} line ${index}\n`).join("");
  const rest = (position: { stamp: string; count: number }, from = text) =>
    linesOf(from)
      .filter(resumeAfter(position))
      .map((line) => line.text);

  test("is found among lines with the same time", () => {
    expect(rest({ stamp: stamp(2), count: 2 })).toEqual(["line 3", "line 4"]);
    expect(rest({ stamp: stamp(3), count: 1 })).toEqual([]);
  });

  test("whose line no longer exists precedes all later lines", () => {
    expect(rest({ stamp: stamp(2, "000000001"), count: 1 })).toEqual(["line 4"]);
    expect(rest({ stamp: stamp(2), count: 9 })).toEqual(["line 4"]);
  });

  test("does not hide a line with a slightly earlier time", () => {
    const mixed = `${stamp(2)} sent\n${stamp(1, "999999999")} late\n${stamp(3)} next\n`;
    expect(rest({ stamp: stamp(2), count: 1 }, mixed)).toEqual(["late", "next"]);
  });
});

test("a batch stays within the service's limits and in order of time", () => {
  const gatherer = new Gatherer(undefined);
  const line = { stamp: stamp(5), at: 5000, text: "x".repeat(1000), ends: true };
  let count = 0;
  while (gatherer.add({ ...line, at: count % 2 === 0 ? 5000 : 4000 }) !== undefined) count++;
  const { events, bytes, position } = gatherer.take();
  expect([events.length, count]).toEqual([1022, 1022]);
  expect(bytes).toBeLessThanOrEqual(bounds.bytes);
  expect(new Set(events.map(({ timestamp }) => timestamp))).toEqual(new Set([5000]));
  expect(position).toEqual({ stamp: stamp(5), count: 1022 });
  for (count = 0; gatherer.add({ ...line, text: "" }) !== undefined; count++);
  expect([count, gatherer.take().events[0]?.message]).toEqual([bounds.events, " "]);
  gatherer.add(line);
  expect(gatherer.add({ ...line, at: line.at + bounds.milliseconds + 1 })).toBeUndefined();
});

test("creates a missing stream; a line that is always refused does not block the others", async () => {
  const calls: string[] = [];
  let created = false;
  const fail = (name: string) => Object.assign(new Error(name), { name });
  const client = {
    send: async (command: { constructor: { name: string }; input: { logEvents?: InputLogEvent[] } }) => {
      const messages = command.input.logEvents?.map(({ message }) => message).join("");
      calls.push(`${command.constructor.name} ${messages ?? ""}`);
      if (command.constructor.name === "CreateLogStreamCommand") created = true;
      else if (!created) throw fail("ResourceNotFoundException");
      else if (messages?.includes("!")) throw fail("InvalidParameterException");
      return {};
    },
  } as never;
  const event = (message: string) => ({ timestamp: 1, message });
  await putTo(client, "group", silentLog)("stream", ["a", "b", "!", "c"].map(event));
  expect(calls.map((call) => call.replace("Command", ""))).toEqual([
    "PutLogEvents ab!c",
    "CreateLogStream ",
    "PutLogEvents ab!c",
    "PutLogEvents ab",
    "PutLogEvents !c",
    "PutLogEvents !",
    "PutLogEvents c",
  ]);
});

describe("a shipment", () => {
  const options = (output: AsyncIterable<Uint8Array>, signal = new AbortController().signal) => ({
    ...{ stream: "s", position: undefined, output, signal, clock: systemClock, log: silentLog },
    memory: new MemoryLimit(10_000),
    save: async () => {},
  });

  test("waits for memory and for the service, and sends every line in order", async () => {
    const memory = new MemoryLimit(10_000);
    let most = 0;
    async function* output() {
      for (let at = 0; at < 300; at++) yield Buffer.from(`${stamp(1)} ${at} ${"x".repeat(200)}\n`);
    }
    const sent: string[] = [];
    let failures = 2;
    const put = async (_: string, events: InputLogEvent[]) => {
      most = Math.max(most, memory.used);
      if (failures-- > 0) throw new Error("throttled");
      sent.push(...events.map(({ message = "" }) => message.split(" ")[0]!));
    };
    const clock = { ...systemClock, timer: (_: number, run: () => void) => systemClock.timer(1, run) };
    const position = await ship({ ...options(output()), memory, put, clock });
    expect(sent).toEqual(Array.from({ length: 300 }, (_, at) => String(at)));
    expect(most).toBeLessThan(10_000 + 300);
    expect(memory.used).toBe(0);
    expect(position).toEqual({ stamp: stamp(1), count: 300 });
  });

  test("tries to send its buffer once when it is stopped, and stores the position", async () => {
    const stop = new AbortController();
    async function* output() {
      yield Buffer.from(`${stamp(1)} one\n`);
      await new Promise((done) => stop.signal.addEventListener("abort", done));
    }
    const saved: unknown[] = [];
    const shipping = ship({
      ...options(output(), stop.signal),
      put: async () => {},
      save: async (position) => void saved.push(position),
    });
    setTimeout(() => stop.abort(), 20);
    await shipping;
    expect(saved).toEqual([{ stamp: stamp(1), count: 1 }]);
  });

  test("rejects with the read error after it has sent everything before", async () => {
    async function* output() {
      yield Buffer.from(`${stamp(1)} one\n`);
      throw new Error("the socket is gone");
    }
    const sent: string[] = [];
    const put = async (_: string, events: InputLogEvent[]) =>
      void sent.push(...events.map(({ message = "" }) => message));
    await expect(ship({ ...options(output()), put })).rejects.toThrow("the socket is gone");
    expect(sent).toEqual(["one"]);
  });
});

async function startPod(runtime: Runtime, uid: string, script: string, attempt = 0) {
  await runtime.images.pull("busybox");
  const image = await runtime.images.find("busybox");
  const sandbox = {
    ...{ name: `pod-${uid}`, namespace: "default", uid, attempt: 0, hostname: "h", shareProcesses: false, ports: [] },
    ...{ host: { network: false, pid: false, ipc: false, users: true }, logDirectory: "", sysctls: {}, handler: "" },
    ...{ security: defaultSecurity(), labels: {}, annotations: {} },
  };
  const { id } = await runtime.pods.runSandbox(sandbox);
  const container = {
    ...{ name: "main", attempt, image: "busybox", imageId: image!.id, command: ["sh", "-c", script] },
    ...{ workingDirectory: "", env: [], mounts: [], devices: [], resources: {}, security: defaultSecurity() },
    ...{ tty: false, stdin: false, stdinOnce: false, logPath: "", labels: {}, annotations: {} },
  };
  await runtime.pods.startContainer({ sandboxId: id, sandbox, container });
  return id;
}

test("sends every run of every container to its own stream, and nothing twice after a restart", async () => {
  const runtime = fakeRuntime({ clock: systemClock });
  const streams = new Map<string, string[]>();
  const put = async (stream: string, events: InputLogEvent[]) => {
    streams.set(stream, [...(streams.get(stream) ?? []), ...events.map(({ message = "" }) => message)]);
  };
  const options = { runtime, region: "eu-west-1", group: "g", folder, clock: systemClock, log: silentLog, put };
  let shipping = shipLogs(options);
  const sandbox = await startPod(runtime, "u1", "echo one; echo; echo three");
  await startPod(runtime, "u1", "echo again", 1);
  await startPod(runtime, "u2", "echo begun; sleep 4; echo over; sleep 60");
  const sent = () => Object.fromEntries([...streams].map(([stream, lines]) => [stream, lines.join(",")]));
  const whole = {
    "default/pod-u1/u1/main/0": "one, ,three",
    "default/pod-u1/u1/main/1": "again",
  };
  await expect.poll(sent, { timeout: 10_000 }).toEqual({ ...whole, "default/pod-u2/u2/main/0": "begun" });
  await shipping.stop();
  shipping = shipLogs(options);
  await expect.poll(sent, { timeout: 10_000 }).toEqual({ ...whole, "default/pod-u2/u2/main/0": "begun,over" });
  await expect.poll(() => readdir(join(folder, "shipped")), { timeout: 5000 }).toHaveLength(3);
  await runtime.pods.removeSandbox(sandbox);
  await expect.poll(() => readdir(join(folder, "shipped")), { timeout: 5000 }).toHaveLength(1);
  await shipping.stop();
  await runtime.pods.removeSandbox(sandbox);
  const positions = await positionsIn(join(folder, "shipped"));
  await positions.keepOnly(new Set());
  expect(await readdir(join(folder, "shipped"))).toEqual([]);
});

test("sends logs once although their positions cannot be stored", async () => {
  const runtime = fakeRuntime({ clock: systemClock });
  const sent: string[] = [];
  const put = async (_: string, events: InputLogEvent[]) =>
    void sent.push(...events.map(({ message = "" }) => message));
  const options = { runtime, region: "eu-west-1", group: "g", folder, clock: systemClock, log: silentLog, put };
  const shipping = shipLogs(options);
  await expect.poll(() => readdir(folder)).toEqual(["shipped"]);
  await rm(join(folder, "shipped"), { recursive: true });
  await startPod(runtime, "u1", "echo one; sleep 2; echo two; sleep 2; echo three");
  await expect.poll(() => sent, { timeout: 10_000 }).toEqual(["one", "two", "three"]);
  await shipping.stop();
  expect(sent).toEqual(["one", "two", "three"]);
});
