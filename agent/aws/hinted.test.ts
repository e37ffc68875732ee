import { describe, expect, test } from "vitest";
import { type ConfigMap, configMaps as kind, type Pod, pods } from "#api";
import { expired, silentLog, systemRandom } from "#base";
import { type Client, startInformer, type WatchEvent } from "#client";
import { openCluster } from "#test/cluster";
import { type HandClock, handClock } from "#test/make";
import { hintedClient } from "./hinted.ts";
import { type HintBoard, hintBoard } from "./hints.ts";

type Event = WatchEvent<ConfigMap>;

const at = (name: string, revision: number): ConfigMap => ({
  metadata: { namespace: "default", name, uid: `uid-${name}`, resourceVersion: String(revision) },
});
const event = (type: "ADDED" | "DELETED", name: string, revision: number): Event => ({
  type,
  object: at(name, revision),
});
const mark = (revision: number, initial = false): Event => ({ type: "BOOKMARK", revision: String(revision), initial });

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
};

/** A server whose watches are scripts, each over at its end; after the last there is nothing new. */
function scripted(...scripts: (Event | Error)[][]) {
  const asked: (string | undefined)[] = [];
  const watch = async function* (_kind: unknown, { revision }: { revision?: string }) {
    asked.push(revision);
    for (const step of scripts[asked.length - 1] ?? [mark(Number(revision))]) {
      if (step instanceof Error) throw step;
      yield step;
    }
  };
  return { asked, client: { watch } as unknown as Client };
}

function follow(script: ReturnType<typeof scripted>, connected = true) {
  const clock: HandClock = handClock();
  const board: HintBoard = hintBoard(clock, () => {});
  const random = { ...systemRandom, fraction: () => 0.5 };
  const hints = { connected, follow: board.follow };
  const client = hintedClient(script.client, { hints, clock, random, log: silentLog });
  const told: string[] = [];
  const informer = startInformer<ConfigMap>({
    ...{ client, kind, clock, log: silentLog },
    changed: ({ type, object }) => told.push(`${type} ${object.metadata.name}`),
  });
  const pass = async (milliseconds: number): Promise<void> => {
    await turns();
    clock.move(milliseconds);
    await turns();
  };
  return { board, told, informer, pass };
}

const type = "core/configmaps";
const first = [event("ADDED", "a", 1), mark(3, true), mark(4)];

describe("a client that is told by hints", () => {
  test("watches when a hint says that there is more, from where it was, and holds nothing open", async () => {
    const script = scripted(first, [event("ADDED", "b", 6), mark(7)]);
    const { board, told, informer, pass } = follow(script);
    await informer.ready;
    await pass(60_000);
    expect(script.asked).toEqual([undefined]);
    board.hear(type, 6);
    await pass(0);
    expect(script.asked).toEqual([undefined, "4"]);
    expect(told).toEqual(["ADDED a", "ADDED b"]);
    // What is known already wakes nobody.
    board.hear(type, 7);
    await pass(60_000);
    expect(script.asked.length).toBe(2);
    await informer.stop();
    expect(board.watches()).toEqual([]);
  });

  test("is not woken by other types", async () => {
    const script = scripted(first);
    const { board, informer, pass } = follow(script);
    await pass(0);
    board.hear("core/secrets", 900);
    await pass(60_000);
    expect(script.asked).toEqual([undefined]);
    await informer.stop();
  });

  test("finds what a lost hint would have told of, more rarely at rest", async () => {
    const script = scripted(first, [event("DELETED", "a", 9), mark(9)]);
    const { told, informer, pass } = follow(script);
    await pass(2 * 60_000);
    expect(told).toEqual(["ADDED a", "DELETED a"]);
    await pass(2 * 60_000);
    expect(script.asked).toEqual([undefined, "4", "9"]);
    await pass(2 * 60_000);
    expect(script.asked.length).toBe(3);
    await pass(2 * 60_000);
    expect(script.asked.length).toBe(4);
    await informer.stop();
  });

  test("looks again when a hint comes before what it tells of can be read, and not for ever", async () => {
    const script = scripted(first, [mark(4)], [mark(4)], [event("ADDED", "b", 6), mark(6)]);
    const { board, told, informer, pass } = follow(script);
    await pass(0);
    board.hear(type, 6);
    for (const pause of [0, 200, 400]) await pass(pause);
    expect(script.asked).toEqual([undefined, "4", "4", "4"]);
    expect(told).toEqual(["ADDED a", "ADDED b"]);
    board.hear(type, 1000);
    for (let pause = 200; pause < 20_000; pause *= 2) await pass(pause);
    expect(script.asked.length).toBe(10);
    await informer.stop();
  });

  test("looks when hints may have been lost, and often while none can come", async () => {
    const script = scripted(first);
    const { board, informer, pass } = follow(script, false);
    await pass(15_000);
    await pass(15_000);
    expect(script.asked.length).toBe(3);
    board.look();
    await pass(0);
    expect(script.asked.length).toBe(4);
    await informer.stop();
  });

  test("leaves failures to whoever follows", async () => {
    const script = scripted(
      first,
      [expired("too old")],
      [event("ADDED", "c", 20), mark(20, true), mark(20)],
      [mark(20)],
    );
    const { board, told, informer, pass } = follow(script);
    await pass(0);
    board.hear(type, 6);
    await pass(0);
    expect(script.asked).toEqual([undefined, "4", undefined]);
    expect(told).toEqual(["ADDED a", "ADDED c", "DELETED a"]);
    await informer.stop();
  });

  test("begins anew when the connection is lost before everything was told", async () => {
    const script = scripted([event("ADDED", "a", 1)], first);
    const { informer, told, pass } = follow(script);
    await pass(500);
    await informer.ready;
    expect(script.asked).toEqual([undefined, undefined]);
    expect(told).toEqual(["ADDED a"]);
    await informer.stop();
  });
});

test("over a cluster, with hints that are lost now and then, a view ends as the cluster is", async () => {
  const cluster = await openCluster();
  const { clock } = cluster;
  const board = hintBoard(clock, () => {});
  // The cluster's own client has watches without an end: here each is cut short, as a server would.
  const short: Client = {
    ...cluster.client,
    async *watch(of, request) {
      const over = new AbortController();
      const timer = clock.timer(20, () => over.abort());
      const end = AbortSignal.any([request.signal, over.signal]);
      let last = request.revision;
      for await (const each of cluster.client.watch(of, { ...request, signal: end })) {
        if (each.type === "BOOKMARK") last = each.revision;
        else if (last !== undefined) last = each.object.metadata.resourceVersion ?? last;
        yield each;
      }
      timer.cancel();
      if (last !== undefined) yield { type: "BOOKMARK", revision: last, initial: false };
    },
  };
  const hints = { connected: true, follow: board.follow };
  const client = hintedClient(short, { hints, clock, random: systemRandom, log: silentLog });
  const fields = [{ field: "spec.nodeName", equal: true, value: "one" }];
  const informer = startInformer<Pod>({ client, kind: pods, clock, log: silentLog, fields });
  await informer.ready;
  expect(board.watches()).toEqual([{ type: "core/pods", fields: { "spec.nodeName": "one" } }]);
  const names = () => [...informer.all()].map(({ metadata }) => metadata.name).sort();
  const hint = async () => board.hear("core/pods", Number((await cluster.client.list(pods)).revision));
  await cluster.addNode("one");
  for (let count = 0; count < 12; count++) {
    const spec = { containers: [{ name: "main", image: "busybox" }], nodeName: count % 3 === 2 ? "two" : "one" };
    await cluster.client.create(pods, { metadata: { namespace: "default", name: `pod-${count}` }, spec } as Pod);
    if (count % 4 === 3) await cluster.client.remove(pods, { namespace: "default", name: "pod-0" }).catch(() => {});
    if (count % 2 === 0) await hint();
  }
  await hint();
  const expected = async () =>
    (await cluster.client.list(pods, { fields })).items.map(({ metadata }) => metadata.name).sort();
  await cluster.until(async () => JSON.stringify(names()) === JSON.stringify(await expected()));
  expect(names().length).toBeGreaterThan(5);
  await informer.stop();
  await cluster.close();
});
