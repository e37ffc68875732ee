import { afterEach, expect, test } from "vitest";
import { catalog, deployments, type Kind, type Shape, storageOf } from "#api";
import type { Json, JsonObject } from "#base";
import { memoryStore } from "#store/memory";
import { openCluster, type TestCluster } from "#test/cluster";
import { make } from "#test/make";
import { fixtureOf, statuses } from "./fixtures.ts";
import { fieldsOf, type Path, shapeAt, withValue } from "./walk.ts";

/*
 * What is stored may be older than today's validation. A control plane starts over a store that holds, for every field
 * of every kind, an object with a value of the right type that makes no sense, and does its work for the others.
 */

let cluster: TestCluster | undefined;
afterEach(() => cluster?.close());

/** Values of a shape's own type that no validation would let in. */
function nonsense(shape: Shape | undefined): Json[] {
  if (shape?.type === "list") return [[]];
  if (shape?.type === "map" || shape?.type === "message") return [{}];
  if (shape?.type !== "scalar") return [];
  if (shape.scalar === "boolean") return [true];
  return /int|double/.test(shape.scalar) ? [-1] : ["", "no \u0000 sense/:%=,", "1e999999999"];
}

type Kept = { kind: Kind; object: JsonObject };

/**
 * What no validation has ever let in, and what would make workloads create without end, here as upstream: selectors that
 * do not fit the template beside them, and fields that are dropped from everything that is written.
 */
const wasNeverKept = (path: Path): boolean =>
  ["selector", "labels", "stopSignal", "schedulingGroup"].some((name) => path.includes(name));

function everyNonsense(kind: Kind): Kept[] {
  const shape = kind.shape;
  const status = statuses[kind.kind];
  const valid = { ...fixtureOf(kind)!, ...(status ? { status } : {}) } as JsonObject;
  const paths = fieldsOf(shape).filter((path) => path.length > 1 && !wasNeverKept(path));
  return paths.flatMap((path) =>
    nonsense(shapeAt(shape, path)).map((value) => ({ kind, object: withValue(valid, path, value) as JsonObject })),
  );
}

/** Writes objects to the store without the API, each under its own name and uid. */
async function keep(store: ReturnType<typeof memoryStore>, objects: readonly Kept[]): Promise<void> {
  for (const [number, { kind, object }] of objects.entries()) {
    const metadata = object["metadata"] as JsonObject;
    const [name, uid] = [`n${number}`, `u${number}`];
    // Labels of its own: workloads that select each other's pods would be another test.
    const labelled = JSON.parse(JSON.stringify(object).replaceAll('"app":"a"', `"app":"${name}"`)) as JsonObject;
    const own = { ...labelled, metadata: { ...metadata, name, uid } };
    const namespace = kind.scope === "Namespaced" ? "default" : "";
    const body = (revision: number) =>
      Buffer.from(JSON.stringify({ ...own, metadata: { resourceVersion: String(revision), ...own.metadata } }));
    const labels = metadata["labels"] as Record<string, string> | undefined;
    const index = { uid, ...(labels ? { labels } : {}) };
    const key = `${namespace}/${name}`;
    const [made] = await store.commit(storageOf(kind), [{ type: "create", key, body, schema: "older", index }]);
    expect(made).toHaveProperty("revision");
  }
}

/** A thousand workloads would take minutes: of many fields only each n-th is tested. */
const atMost = 200;

const kinds = catalog.filter((kind) => !kind.internal && !kind.answer && !kind.stored && fixtureOf(kind));

test.each(kinds.map((kind) => ({ name: kind.kind, kind })))(
  "a control plane starts over malformed objects of $name and serves the others",
  async ({ kind }) => {
    const store = memoryStore();
    const all = everyNonsense(kind);
    const step = process.env["SKIFF_EVERY_FIELD"] === "1" ? 1 : Math.ceil(all.length / atMost);
    const objects = all.filter((_, place) => place % step === 0);
    expect(objects.length).toBeGreaterThan(10);
    await keep(store, objects);
    cluster = await openCluster({ store });
    const { client, addNode, playAgents, until } = cluster;
    await addNode("good");
    await client.create(deployments, make.deployment({ spec: { replicas: 1 } } as never));
    const isAvailable = async () => {
      await playAgents();
      const { status } = await client.get(deployments, { namespace: "default", name: "web" });
      return (status?.availableReplicas ?? 0) === 1;
    };
    await until(isAvailable, 25);
  },
);
