/**
 * A writer in a process of its own: `writer.ts '<WriterOrder as JSON>'`. It prints the acknowledged writes, or their
 * number.
 */
import { writeSync } from "node:fs";
import { systemClock, systemRandom } from "#base";
import { Conflict, Exists, type Write } from "#store";
import { dynamoClient, dynamoStore } from "../index.ts";
import type { TableNames } from "../tables.ts";
import { emulator } from "./dynoxide.ts";

export interface WriterOrder {
  endpoint: string;
  tables: TableNames;
  /** Log shards of the type. */
  shards: number;
  type: string;
  /** Part of all its bodies. */
  name: string;
  /**
   * `contend`: creates, updates and deletes objects that other writers use too, and prints a line of JSON
   * (`Acknowledged`) for each acknowledged write, until it is killed. `commit`: creates objects of its own for
   * `seconds`. `read`: gets the objects of earlier writers. The last two print their number in one line.
   */
  does: "contend" | "commit" | "read";
  seconds?: number;
  /** Its concurrency. */
  clients: number;
  /** Bytes of a body. */
  bytes: number;
}

/** A write that was acknowledged. */
export interface Acknowledged {
  revision: number;
  type: Write["type"];
  key: string;
  /** The previous revision. */
  expected?: number;
  /** The beginning of the body. */
  text: string;
}

const order = JSON.parse(process.argv[2] ?? "{}") as WriterOrder;
const store = dynamoStore({
  dynamo: dynamoClient(emulator(order.endpoint)),
  tables: order.tables,
  clock: systemClock,
  random: systemRandom,
  shards: () => order.shards,
});
const encoder = new TextEncoder();
const filler = "x".repeat(order.bytes);
const contended = 12;

const part = (key: string, text: string) => ({
  key,
  // Names its revision, as served objects do.
  body: (revision: number) => encoder.encode(`${text}@${revision} ${filler}`),
  schema: "s",
  index: { uid: key },
});

/** Written to the pipe at once: a killed process loses its buffers, and those lines would count as acknowledged. */
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`);

/** One write of a shared object. */
async function contend(text: string): Promise<void> {
  const key = `shared/${Math.floor(systemRandom.fraction() * contended)}`;
  const there = await store.get(order.type, key);
  const removes = systemRandom.fraction() < 0.3;
  const write: Write = there
    ? { type: removes ? "delete" : "update", expected: there.revision, ...part(key, text) }
    : { type: "create", ...part(key, text) };
  const [made] = await store.commit(order.type, [write]);
  if (made instanceof Conflict || made instanceof Exists) return;
  const expected = there ? { expected: there.revision } : {};
  say({ revision: made!.revision, type: write.type, key, text, ...expected } satisfies Acknowledged);
}

async function run(): Promise<void> {
  const end = order.seconds === undefined ? Number.POSITIVE_INFINITY : Date.now() + order.seconds * 1000;
  const keys: string[] = [];
  if (order.does === "read") keys.push(...(await store.list(order.type)).entries.map(({ key }) => key));
  let serial = 0;
  let count = 0;
  let refused = 0;
  const steps = {
    contend: () => contend(`${order.name}-${serial++}`),
    commit: () => store.commit(order.type, [{ type: "create", ...part(`${order.name}/${serial++}`, order.name) }]),
    read: () => store.get(order.type, keys[Math.floor(systemRandom.fraction() * keys.length)]!),
  };
  const work = async (): Promise<void> => {
    while (Date.now() < end) {
      // Under overload the answer is 429: unacknowledged writes are not counted.
      await steps[order.does]().then(
        () => count++,
        () => refused++,
      );
    }
  };
  await Promise.all(Array.from({ length: order.clients }, work));
  say({ count, refused });
}

await run();
process.exit(0);
