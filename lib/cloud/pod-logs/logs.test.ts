import type { CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { describe, expect, test } from "vitest";
import type { Pod } from "#api";
import type { NodeRequest } from "#api/meta";
import { ApiError, notFound } from "#base";
import type { Client } from "#client";
import { decodeNodeRequest } from "#node-link";
import { handClock } from "#test/make";
import { cloudWatchLogs } from "./cloud-watch-logs.ts";
import { logLinks, runOf } from "./links.ts";

interface Event {
  timestamp: number;
  message: string;
}

/** Streams with the service's pages: at most `most` events, tokens that repeat at the ends, and empty pages between. */
function service(streams: Record<string, Event[]>, most = 3) {
  let empty = false;
  const send = async ({ input }: { input: Record<string, unknown> }) => {
    const all = streams[String(input["logStreamName"])];
    if (!all) throw Object.assign(new Error("no stream"), { name: "ResourceNotFoundException" });
    const start = Number(input["startTime"] ?? 0);
    const token = /^([fb])\/(\d+)$/.exec(String(input["nextToken"] ?? ""));
    const limit = Math.min(Number(input["limit"] ?? 10_000), most);
    const first = all.findIndex(({ timestamp }) => timestamp >= start);
    const lowest = first < 0 ? all.length : first;
    let begin = token ? Math.max(Number(token[2]), lowest) : input["startFromHead"] ? lowest : all.length;
    let to = begin;
    empty = !empty && token !== null;
    if (!empty) {
      if (input["startFromHead"]) to = Math.min(all.length, begin + limit);
      else begin = Math.max(lowest, begin - limit);
    }
    return {
      events: all.slice(begin, to),
      nextForwardToken: empty && to < all.length ? `f/${to}#` : `f/${to}`,
      nextBackwardToken: empty && begin > lowest ? `b/${begin}#` : `b/${begin}`,
    };
  };
  const tolerant = (command: { input: Record<string, unknown> }) => {
    const token = command.input["nextToken"];
    return send({ input: { ...command.input, nextToken: typeof token === "string" ? token.replace("#", "") : token } });
  };
  return { send: tolerant } as unknown as CloudWatchLogsClient;
}

const pod = (status: object, nodeName = "i-1"): Pod =>
  ({
    metadata: { namespace: "default", name: "web", uid: "u1" },
    spec: { nodeName, containers: [{ name: "main", image: "busybox" }] },
    status: { containerStatuses: [{ name: "main", restartCount: 0, ...status }] },
  }) as unknown as Pod;
const running = pod({ state: { running: {} } });

const events = (count: number, begin = 0): Event[] =>
  Array.from({ length: count }, (_, at) => ({ timestamp: 1000 * (begin + at), message: `line ${begin + at}` }));

const stream = "default/web/u1/main/0";

const refuse = ({ type }: NodeRequest) => new ApiError(501, "NotImplemented", `${type} is not possible here`);

function open(streams: Record<string, Event[]>, found: () => Pod = () => running) {
  const clock = handClock(100_000);
  const client = { get: async () => found() } as unknown as Client;
  const links = logLinks({
    client: client,
    logs: cloudWatchLogs(service(streams)),
    group: "pods",
    clock,
    refuse,
  });
  const stop = new AbortController();
  const read = async (query = "", path = "/containerLogs/default/web/main") => {
    const { body } = await links.request("i-1", decodeNodeRequest(`${path}?${query}`)!, stop.signal);
    let text = "";
    for await (const chunk of body) text += Buffer.from(chunk).toString();
    return text;
  };
  return { clock, links, read, stop };
}

const lines = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, at) => `line ${first + at}\n`).join("");

describe("a log", () => {
  test("is read page by page to the end", async () => {
    const { read } = open({ [stream]: events(10) });
    expect(await read()).toBe(lines(0, 9));
    expect(await read("sinceTime=1970-01-01T00:00:07Z")).toBe(lines(7, 9));
    expect(await read("sinceSeconds=92")).toBe(lines(8, 9));
    expect(await read("limitBytes=10")).toBe("line 0\nlin");
  });

  test("yields its last lines, on any number of pages", async () => {
    const { read } = open({ [stream]: events(20) });
    for (const tail of [0, 1, 2, 3, 4, 7, 19, 20, 500]) {
      expect(await read(`tailLines=${tail}`), `tail ${tail}`).toBe(lines(Math.max(0, 20 - tail), 19));
    }
    expect(await read("tailLines=5&sinceTime=1970-01-01T00:00:17Z")).toBe(lines(17, 19));
  });

  test("has timestamps with nine digits, and empty lines", async () => {
    const { read } = open({
      [stream]: [
        { timestamp: 1234, message: " " },
        { timestamp: 2000, message: "a\n" },
      ],
    });
    expect(await read()).toBe("\na\n");
    expect(await read("timestamps=true")).toBe("1970-01-01T00:00:01.234000000Z \n1970-01-01T00:00:02.000000000Z a\n");
  });

  test("of a container without output is empty", async () => {
    expect(await open({}).read()).toBe("");
    expect(await open({}).read("tailLines=3")).toBe("");
  });

  test("is followed from before its first line until the container has ended and all output has arrived", async () => {
    const streams: Record<string, Event[]> = {};
    let state: Pod | undefined = running;
    const { clock, read } = open(streams, () => {
      if (!state) throw notFound({ group: "", resource: "pods" }, "web");
      return state;
    });
    let done = false;
    const reading = read("follow=true&tailLines=2").finally(() => {
      done = true;
    });
    const pass = async (milliseconds: number) => {
      for (let time = 0; time < milliseconds; time += 1000) {
        for (let turn = 0; turn < 30; turn++) await new Promise(setImmediate);
        clock.move(1000);
      }
    };
    await pass(3000);
    streams[stream] = events(2);
    await pass(10_000);
    streams[stream]!.push(...events(3, 2));
    await pass(2000);
    state = pod({ state: { terminated: { exitCode: 0 } } });
    await pass(5000);
    expect(done).toBe(false);
    streams[stream]!.push(...events(1, 5));
    await pass(20_000);
    expect(done).toBe(true);
    expect(await reading).toBe(lines(0, 5));
    state = running;
    const other = read("follow=true");
    state = undefined;
    await pass(20_000);
    expect(await other).toBe(lines(0, 5));
  });

  test("is followed at most until the client disconnects or the function ends", async () => {
    const { clock, read, stop } = open({ [stream]: events(1) });
    const first = read("follow=true");
    for (let time = 0; time < 15 * 60; time++) {
      await new Promise(setImmediate);
      clock.move(1000);
    }
    expect(await first).toBe(lines(0, 0));
    const second = read("follow=true");
    await new Promise((done) => setTimeout(done, 10));
    stop.abort();
    expect(await second).toBe(lines(0, 0));
  });
});

describe("the run", () => {
  const ended = { terminated: { exitCode: 1, containerID: "c" } };
  const of = (status: object, previous = false) => runOf(pod(status), "main", previous).stream.split("/").at(-1);

  test("is the last one, or the one before", () => {
    expect(of({ state: { running: {} }, restartCount: 3 })).toBe("3");
    expect(of({ state: ended, restartCount: 2 })).toBe("2");
    expect(of({ state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: ended, restartCount: 2 })).toBe("2");
    expect(of({ state: { running: {} }, lastState: ended, restartCount: 3 }, true)).toBe("2");
    expect(of({ state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: ended, restartCount: 2 }, true)).toBe(
      "2",
    );
  });

  test("fails with upstream's message when it does not exist", () => {
    expect(() => of({ state: { running: {} } }, true)).toThrow(
      'previous terminated container "main" in pod "web" not found',
    );
    expect(() => of({ state: { waiting: { reason: "ContainerCreating" } } })).toThrow(
      'container "main" in pod "web" is waiting to start: ContainerCreating',
    );
    expect(() => of({ state: { waiting: { reason: "ImagePullBackOff" } } })).toThrow(
      "trying and failing to pull image",
    );
    expect(() => runOf(running, "other", false)).toThrow('container "other" in pod "web" is not available');
  });

  test("on Fargate is the stream of the task", () => {
    const task = "0123456789abcdef0123456789abcdef";
    const status = { state: { running: {} }, containerID: `ecs://${task}-265927825` };
    expect(runOf(pod(status, "fargate"), "main", false).stream).toBe(`fargate/main/${task}`);
  });
});

test("refuses requests that need a connection to the node", async () => {
  const { read } = open({});
  await expect(read("command=sh", "/exec/default/web/main")).rejects.toMatchObject({
    code: 501,
    message: "exec is not possible here",
  });
  await expect(read("", "/portForward/default/web")).rejects.toMatchObject({ code: 501 });
});
