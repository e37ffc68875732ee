import { describe, expect, test } from "vitest";
import { type ConfigMap, configMaps as kind, type Pod, pods } from "#api";
import { expired, silentLog, systemRandom } from "#base";
import { type Client, startInformer, type WatchEvent } from "#client";
import { openCluster } from "#test/cluster";
import { type HandClock, handClock } from "#test/make";
import { hintedClient } from "./hinted-client.ts";
import { HintBoard, type Watch } from "./hints.ts";

type Event = WatchEvent<ConfigMap>;

const at = (name: string, revision: number): ConfigMap => ({
  metadata: { namespace: "default", name, uid: `uid-${name}`, resourceVersion: String(revision) },
});
const event = (type: "ADDED" | "DELETED", name: string, revision: number): Event => ({
  type,
  object: at(name, revision),
});
const bookmark = (revision: number, initial = false): Event => ({
  type: "BOOKMARK",
  revision: String(revision),
  initial,
});

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
};

/** A server whose watches are scripts. Watches after the last script have nothing new. */
function scripted(...scripts: (Event | Error)[][]) {
  const revisions: (string | undefined)[] = [];
  const watch = async function* (_kind: unknown, { revision }: { revision?: string }) {
    revisions.push(revision);
    for (const step of scripts[revisions.length - 1] ?? [bookmark(Number(revision))]) {
      if (step instanceof Error) throw step;
      yield step;
    }
  };
  return { revisions, client: { watch } as unknown as Client };
}

function follow(script: ReturnType<typeof scripted>, connected = true) {
  const clock: HandClock = handClock();
  const board = new HintBoard(clock, () => {});
  const random = { ...systemRandom, fraction: () => 0.5 };
  const hints = { connected, follow: (watch: Watch) => board.follow(watch) };
  const client = hintedClient(script.client, { hints, clock, random, log: silentLog });
  const changes: string[] = [];
  const informer = startInformer<ConfigMap>({
    ...{ client, kind, clock, log: silentLog },
    changed: ({ type, object }) => changes.push(`${type} ${object.metadata.name}`),
  });
  const pass = async (milliseconds: number): Promise<void> => {
    await turns();
    clock.move(milliseconds);
    await turns();
  };
  return { board, changes, informer, pass };
}

const type = "core/configmaps";
const first = [event("ADDED", "a", 1), bookmark(3, true), bookmark(4)];

describe("hintedClient", () => {
  test("watches from the last revision after a hint and holds no connection open", async () => {
    const script = scripted(first, [event("ADDED", "b", 6), bookmark(7)]);
    const { board, changes, informer, pass } = follow(script);
    await informer.ready;
    await pass(60_000);
    expect(script.revisions).toEqual([undefined]);
    board.hint(type, 6);
    await pass(0);
    expect(script.revisions).toEqual([undefined, "4"]);
    expect(changes).toEqual(["ADDED a", "ADDED b"]);
    // A hint at a known revision starts no watch.
    board.hint(type, 7);
    await pass(60_000);
    expect(script.revisions.length).toBe(2);
    await informer.stop();
    expect(board.watches()).toEqual([]);
  });

  test("ignores hints for other types", async () => {
    const script = scripted(first);
    const { board, informer, pass } = follow(script);
    await pass(0);
    board.hint("core/secrets", 900);
    await pass(60_000);
    expect(script.revisions).toEqual([undefined]);
    await informer.stop();
  });

  test("finds a change whose hint was lost, polling more rarely at rest", async () => {
    const script = scripted(first, [event("DELETED", "a", 9), bookmark(9)]);
    const { changes, informer, pass } = follow(script);
    await pass(2 * 60_000);
    expect(changes).toEqual(["ADDED a", "DELETED a"]);
    await pass(2 * 60_000);
    expect(script.revisions).toEqual([undefined, "4", "9"]);
    await pass(2 * 60_000);
    expect(script.revisions.length).toBe(3);
    await pass(2 * 60_000);
    expect(script.revisions.length).toBe(4);
    await informer.stop();
  });

  test("repeats the read when a hint arrives before its change, a limited number of times", async () => {
    const script = scripted(first, [bookmark(4)], [bookmark(4)], [event("ADDED", "b", 6), bookmark(6)]);
    const { board, changes, informer, pass } = follow(script);
    await pass(0);
    board.hint(type, 6);
    for (const pause of [0, 200, 400]) await pass(pause);
    expect(script.revisions).toEqual([undefined, "4", "4", "4"]);
    expect(changes).toEqual(["ADDED a", "ADDED b"]);
    board.hint(type, 1000);
    for (let pause = 200; pause < 20_000; pause *= 2) await pass(pause);
    expect(script.revisions.length).toBe(10);
    await informer.stop();
  });

  test("reads when hints may have been lost, and polls while none can arrive", async () => {
    const script = scripted(first);
    const { board, informer, pass } = follow(script, false);
    await pass(15_000);
    await pass(15_000);
    expect(script.revisions.length).toBe(3);
    board.wakeAll();
    await pass(0);
    expect(script.revisions.length).toBe(4);
    await informer.stop();
  });

  test("passes failures on to the informer", async () => {
    const script = scripted(
      first,
      [expired("too old")],
      [event("ADDED", "c", 20), bookmark(20, true), bookmark(20)],
      [bookmark(20)],
    );
    const { board, changes, informer, pass } = follow(script);
    await pass(0);
    board.hint(type, 6);
    await pass(0);
    expect(script.revisions).toEqual([undefined, "4", undefined]);
    expect(changes).toEqual(["ADDED a", "ADDED c", "DELETED a"]);
    await informer.stop();
  });

  test("starts again when a watch ends before it has delivered the existing objects", async () => {
    const script = scripted([event("ADDED", "a", 1)], first);
    const { informer, changes, pass } = follow(script);
    await pass(500);
    await informer.ready;
    expect(script.revisions).toEqual([undefined, undefined]);
    expect(changes).toEqual(["ADDED a"]);
    await informer.stop();
  });
});

test("an informer over a cluster converges although hints are lost", async () => {
  const cluster = await openCluster();
  const { clock } = cluster;
  const board = new HintBoard(clock, () => {});
  // Watches of the cluster's own client have no end: here each is cut short, as a server does.
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
  const hints = { connected: true, follow: (watch: Watch) => board.follow(watch) };
  const client = hintedClient(short, { hints, clock, random: systemRandom, log: silentLog });
  const fields = [{ field: "spec.nodeName", equal: true, value: "one" }];
  const informer = startInformer<Pod>({ client, kind: pods, clock, log: silentLog, fields });
  await informer.ready;
  expect(board.watches()).toEqual([{ type: "core/pods", fields: { "spec.nodeName": "one" } }]);
  const names = () => [...informer.all()].map(({ metadata }) => metadata.name).sort();
  const hint = async () => board.hint("core/pods", Number((await cluster.client.list(pods)).revision));
  await cluster.addNode("one");
  for (let count = 0; count < 12; count++) {
    const spec = { containers: [{ name: "main", image: "busybox" }], nodeName: count % 3 === 2 ? "two" : "one" };
    await cluster.client.create(pods, { metadata: { namespace: "default", name: `pod-${count}` }, spec } as Pod);
    if (count % 4 === 3) await cluster.client.delete(pods, { namespace: "default", name: "pod-0" }).catch(() => {});
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
