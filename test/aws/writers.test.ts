import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock, systemRandom } from "#base";
import type { Change } from "#store";
import { readLog, storeConformance } from "#store/conformance";
import { type DynamoStore, dynamoClient, dynamoStore, type TableNames } from "#store/dynamo";
import {
  dynoxidePath,
  emulator,
  makeTables,
  startDynoxide,
  startWriter,
  type Acknowledged as WriteResult,
  type WriterOrder,
} from "#store/dynamo/testing";

/*
 * Eight processes write to the same tables at once, and to the same objects, while the store's contract is tried over
 * these tables; two of them are killed with SIGKILL again and again.
 */

const writers = 8;
const mortal = 2;
const killEvery = 700;
const type = "shared";
const shards = 2;
const decoder = new TextDecoder();

let engine: { endpoint: string; stop(): Promise<void> };
let names: TableNames;
const results: WriteResult[][] = [];
const killing = new AbortController();
let lives: Promise<void>[] = [];
let kills = 0;

const openStore = (poll = 100): DynamoStore =>
  dynamoStore({
    dynamo: dynamoClient(emulator(engine.endpoint)),
    tables: names,
    clock: systemClock,
    random: systemRandom,
    shards: () => shards,
    poll,
  });

/** One writer, and its successors when it is one of those that are killed. */
async function liveAndDie(place: number): Promise<void> {
  for (let life = 0; !killing.signal.aborted; life++) {
    const order: WriterOrder = {
      ...{ endpoint: engine.endpoint, tables: names, shards, type, does: "contend", clients: 2, bytes: 600 },
      name: `w${place}.${life}`,
    };
    const writer = startWriter(order);
    results.push(writer.said as unknown as WriteResult[]);
    const stop = (): boolean => writer.process.kill("SIGKILL");
    killing.signal.addEventListener("abort", stop, { once: true });
    // A busy machine may take longer to start a writer than the writer's time: it begins with the first write.
    let timer: NodeJS.Timeout | undefined;
    const arm = (): void => {
      const isWriting = writer.said.length > 0;
      timer = setTimeout(isWriting ? stop : arm, isWriting ? killEvery * (1 + Math.random()) : 20);
    };
    if (place < mortal) arm();
    await writer.ended;
    clearTimeout(timer);
    killing.signal.removeEventListener("abort", stop);
    if (writer.process.signalCode !== "SIGKILL")
      throw new Error(`a writer ended by itself: ${writer.process.exitCode}`);
    kills++;
  }
}

beforeAll(async () => {
  engine = await startDynoxide(dynoxidePath()!);
  names = await makeTables(engine.endpoint);
  lives = Array.from({ length: writers }, (_, place) => liveAndDie(place));
  // Only when all of them write, the rest is tried.
  while (results.filter((output) => output.length > 0).length < writers)
    await new Promise((done) => setTimeout(done, 50));
}, 180_000);
afterAll(async () => {
  killing.abort();
  await Promise.allSettled(lives);
  await engine.stop();
});

storeConformance("dynamoStore under eight writers", async () => ({ store: openStore() }));

const textOf = ({ entry }: Change): string => decoder.decode(entry.body).split(" ")[0]!;

describe("the results of eight writers", () => {
  test("match one log without gaps or forks, and the objects", async () => {
    killing.abort();
    await Promise.all(lives);
    const store = openStore();
    const log = await readLog(store, type, 1);
    const byRevision = new Map(log.map((change) => [change.revision, change]));
    expect(byRevision.size).toBe(log.length);
    const acknowledged = results.flat();
    const lost = acknowledged.filter(({ revision, type: what, key, text, expected }) => {
      const found = byRevision.get(revision);
      const same = found?.type === what && found.key === key && found.previous?.revision === expected;
      // A delete's last state is that of the delete.
      return !same || textOf(found) !== `${text}@${revision}`;
    });
    expect(lost).toEqual([]);
    // No change of an object has two successors: no write was overwritten unseen.
    const state = new Map<string, number>();
    for (const { key, revision, previous, type: what } of log) {
      expect(previous?.revision).toBe(state.get(key));
      if (what === "delete") state.delete(key);
      else state.set(key, revision);
    }
    const { entries } = await store.list(type);
    expect(new Map(entries.map((entry) => [entry.key, entry.revision]))).toEqual(state);
    await store.close();
    process.stdout.write(
      `${JSON.stringify({ writers, acknowledged: acknowledged.length, changes: log.length, kills })}\n`,
    );
    expect(acknowledged.length).toBeGreaterThan(500);
    expect(kills).toBeGreaterThan(writers);
  }, 60_000);
});
