import { spawn } from "node:child_process";
import { once } from "node:events";
import { DynamoDBClient, PutItemCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock, systemRandom } from "#base";
import { type DynamoStore, dynamoClient, dynamoStore, type Item } from "#store/dynamo";
import { dynoxidePath, emulator, makeTables, startDynoxide } from "#store/dynamo/testing";
import { openCluster } from "#test/cluster";

const engine = dynoxidePath();
const jump = 2 ** 20;
const later = { ...systemClock, now: () => systemClock.now() + 60_000 };
const maps = "/api/v1/namespaces/default/configmaps";
const config = (name: string, text: string) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data: { text },
});

describe.runIf(engine === undefined)(`skiff restore without @dynoxide/${process.platform}-${process.arch}`, () => {
  it.skipIf(true)("is not tested over the embedded engine, which has no package for this platform", () => {});
});

describe.skipIf(engine === undefined)("skiff restore", () => {
  let started: Awaited<ReturnType<typeof startDynoxide>>;
  let client: DynamoDBClient;
  beforeAll(async () => {
    started = await startDynoxide(engine!);
    client = new DynamoDBClient(emulator(started.endpoint));
  });
  afterAll(async () => {
    client.destroy();
    await started.stop();
  });

  type Tables = Awaited<ReturnType<typeof makeTables>>;
  const open = (tables: Tables, clock = systemClock): DynamoStore =>
    dynamoStore({ dynamo: dynamoClient(emulator(started.endpoint)), tables, clock, random: systemRandom, poll: 50 });
  const scan = async (TableName: string): Promise<Item[]> =>
    (await client.send(new ScanCommand({ TableName, ConsistentRead: true }))).Items ?? [];
  const fill = async (TableName: string, items: Item[]): Promise<void> => {
    for (const Item of items) await client.send(new PutItemCommand({ TableName, Item }));
  };

  const command = async (tables: Tables, ...more: string[]) => {
    const words = ["restore", "--region", "us-east-1", "--objects", tables.objects, "--changes", tables.changes];
    const child = spawn(process.execPath, ["lib/cli/skiff.ts", ...words, ...more], {
      env: {
        ...process.env,
        AWS_ENDPOINT_URL_DYNAMODB: started.endpoint,
        AWS_ACCESS_KEY_ID: "local",
        AWS_SECRET_ACCESS_KEY: "local",
      },
    });
    const ended = { code: 0, out: "", err: "" };
    child.stdout.on("data", (chunk) => {
      ended.out += chunk;
    });
    child.stderr.on("data", (chunk) => {
      ended.err += chunk;
    });
    [ended.code] = await once(child, "close");
    return ended;
  };

  it("repairs two tables that do not match: clients list again and continue", async () => {
    const old = await makeTables(started.endpoint);
    const before = await openCluster({ store: open(old), asleep: true });
    await before.plane.bootstrap();
    for (const name of ["a", "b", "c"]) await before.ask("POST", maps, config(name, "old"));
    // Of one instant: the objects. The log is of a moment later and lost a change in its middle; the objects lost one
    // of theirs.
    const objects = (await scan(old.objects)).filter(({ k }) => k?.S !== "default/b");
    const known = (await before.ask("GET", maps)).json.metadata.resourceVersion as string;
    await before.ask("PUT", `${maps}/a`, config("a", "new"));
    await before.ask("DELETE", `${maps}/c`);
    await before.ask("POST", maps, config("hole", "x"));
    await before.ask("POST", maps, config("d", "new"));
    const last = (await before.ask("GET", maps)).json.metadata.resourceVersion as string;
    const changes = (await scan(old.changes)).filter(({ k }) => k?.S !== "default/hole");
    await before.close();
    const tables = await makeTables(started.endpoint);
    await fill(tables.objects, objects);
    await fill(tables.changes, changes);

    const planned = await command(tables, "--again");
    expect(planned).toMatchObject({ code: 1, err: "" });
    expect(planned.out).toMatch(/core\/configmaps: at revision \d+, last written at \d{4}-/);
    expect(planned.out).toMatch(/nothing was changed: --yes restores the tables/);
    expect(await scan(tables.objects)).toHaveLength(objects.length);

    const { code, out } = await command(tables, "--again", "--yes", "--output", "json");
    expect(code).toBe(0);
    const { restored } = JSON.parse(out) as { restored: { type: string; repaired: string[]; revision: number }[] };
    const expected = {
      revision: Number(last) + jump,
      repaired: ["default/a", "default/b", "default/c", "default/d"],
      lost: [],
    };
    expect(restored.find(({ type }) => type === "core/configmaps")).toMatchObject(expected);

    const after = await openCluster({ store: open(tables), asleep: true });
    try {
      await after.plane.bootstrap();
      const gone = await after.ask("GET", `${maps}?watch=true&resourceVersion=${known}`);
      expect(await statusOf(gone)).toMatchObject({ reason: "Expired", code: 410 });
      const listed = (await after.ask("GET", maps)).json;
      expect(listed.items).toMatchObject([
        { metadata: { name: "a" }, data: { text: "new" } },
        { metadata: { name: "b" }, data: { text: "old" } },
        { metadata: { name: "d" }, data: { text: "new" } },
      ]);
      const made = await after.ask("POST", maps, config("c", "again"));
      expect(Number(made.json.metadata.resourceVersion)).toBeGreaterThan(Number(last) + jump);
      const place = listed.metadata.resourceVersion as string;
      const events = await after.ask("GET", `${maps}?watch=true&resourceVersion=${place}&timeoutSeconds=1`);
      expect(await textOf(events, () => after.clock.move(1000))).toMatch(/^\{"type":"ADDED".*"name":"c"/);
    } finally {
      await after.close();
    }

    const twice = await command(tables, "--yes");
    expect(twice.code).toBe(1);
    expect(twice.out).toMatch(/the tables were restored at .*--again repeats it/);
  });

  it("leaves alone tables that are in use, empty, or of another kind", async () => {
    const tables = await makeTables(started.endpoint);
    expect(await command(tables, "--yes")).toMatchObject({
      code: 1,
      out: expect.stringContaining("contains no cluster"),
    });
    // Written a minute after the table was created.
    const store = open(tables, later);
    await store.commit("a", [
      { type: "create", key: "ns/1", schema: "", index: { uid: "1" }, body: () => new TextEncoder().encode("{}") },
    ]);
    const inUse = await command(tables, "--yes");
    expect(inUse).toMatchObject({ code: 1, out: expect.stringContaining("the tables are in use") });
    expect(await store.head("a")).toBe(2);
    const swapped = await command({ objects: tables.changes, changes: tables.objects }, "--yes");
    expect(swapped).toMatchObject({ code: 1, err: expect.stringContaining("is not a table of") });
    const missing = await command({ ...tables, changes: "nowhere" }, "--yes");
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining("nowhere") });
  });

  it("continues after an interruption", async () => {
    const tables = await makeTables(started.endpoint);
    // Its own writes are newer than the table.
    const store = open(tables, later);
    await store.commit("a", [
      { type: "create", key: "ns/1", schema: "", index: { uid: "1" }, body: () => new TextEncoder().encode("{}") },
    ]);
    const first = await command(tables, "--yes", "--again");
    expect(first.code).toBe(0);
    const [note] = (await scan(tables.objects)).filter(({ p }) => p?.S === "restore");
    const { done: _done, ...begun } = note!;
    await fill(tables.objects, [begun]);
    const again = await command(tables, "--yes");
    expect(again).toMatchObject({ code: 0, out: expect.stringContaining("a: continues at revision") });
  });
});

interface Answered {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into
  json: any;
  body: Uint8Array | AsyncIterable<Uint8Array>;
}

/** The Status of an answer, or of the event that ends a watch. */
const statusOf = async (answer: Answered): Promise<unknown> =>
  answer.body instanceof Uint8Array ? answer.json : (JSON.parse(await textOf(answer)) as { object: unknown }).object;

async function textOf({ body }: Answered, read: () => void = () => {}): Promise<string> {
  if (body instanceof Uint8Array) return new TextDecoder().decode(body);
  let text = "";
  for await (const chunk of body) {
    text += new TextDecoder().decode(chunk);
    read();
  }
  return text;
}
