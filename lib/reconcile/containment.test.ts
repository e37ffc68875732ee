import { afterEach, beforeEach, expect, test } from "vitest";
import { configMaps, secrets } from "#api";
import type { KubernetesObject } from "#api/meta";
import { type Log, silentLog, systemRandom } from "#base";
import { MetricRegistry, queueMetrics } from "#metrics";
import { openCluster, type TestCluster } from "#test/cluster";
import { served } from "#test/make";
import { type AnyController, defineController, type Engine, runControllers, watching } from "./index.ts";

const namespace = "default";
let cluster: TestCluster;
let engine: Engine | undefined;
let lines: string[];
let reconciled: string[];
let counted: MetricRegistry;
let recorded: [name: string | undefined, type: string, message: string][];
beforeEach(async () => {
  cluster = await openCluster();
  lines = [];
  reconciled = [];
  recorded = [];
});
afterEach(async () => {
  await engine?.stop();
  await cluster.close();
});

const isCursed = ({ metadata }: KubernetesObject): boolean => metadata.name === "cursed";
const fail = (): never => {
  throw new Error("planted");
};
const keyOf = ({ metadata }: KubernetesObject) => ({ namespace: metadata.namespace, name: metadata.name ?? "" });

async function start(controller: AnyController): Promise<void> {
  const write = (text: string, fields?: object) => void lines.push(`${text} ${JSON.stringify(fields)}`);
  const log: Log = { ...silentLog, error: write, warn: write };
  const { client, clock } = cluster;
  const given = { client, served: served(), clock, random: systemRandom, log };
  counted = new MetricRegistry();
  engine = runControllers([controller], {
    ...given,
    metrics: queueMetrics(counted, clock),
    record: ({ object }, type, _reason, message) => void recorded.push([object.metadata.name, type, message]),
  });
  await engine.ready;
}

const reconcile: AnyController["reconcile"] = async (_, { name }) => void reconciled.push(name);

/** The places at which a controller throws on the object `cursed`. */
const places: [string, Partial<AnyController>][] = [
  ["concerns", { concerns: ({ object }) => !isCursed(object) || fail(), reconcile }],
  [
    "the keys of a watched kind",
    { watches: [watching(secrets, ({ object }) => (isCursed(object) ? fail() : [keyOf(object)]))], reconcile },
  ],
  [
    "reconcile",
    {
      async reconcile(context, key) {
        if (key.name === "cursed") fail();
        await reconcile(context, key);
      },
    },
  ],
];

test.each(places)("a controller that throws in %s affects that object alone", async (_place, planted) => {
  await start(defineController({ name: "planted", for: configMaps, ...planted } as AnyController));
  const kind = planted.watches ? secrets : configMaps;
  for (const name of ["cursed", "plain"]) await cluster.client.create(kind, { metadata: { namespace, name } } as never);
  await cluster.until(async () => reconciled.includes("plain"));
  expect(reconciled).not.toContain("cursed");
  await cluster.until(async () => lines.join("\n").includes("planted"));
  const event = ["cursed", "Warning", expect.stringContaining("planted")];
  await cluster.until(async () => recorded.length > 0);
  expect(recorded[0]).toEqual(event);
  expect(counted.text()).toMatch(
    /^controller_runtime_reconcile_(?:panics|errors)_total\{controller="planted"\} [1-9]/m,
  );
});

test("delivers a change again when the API rejects a read of its keys", async () => {
  let tries = 0;
  await start(
    defineController({
      name: "patient",
      for: configMaps,
      watches: [
        watching(secrets, async ({ object }, { client }) => {
          if (isCursed(object) && tries++ === 0) await client.get(secrets, { namespace, name: "absent" });
          return [keyOf(object)];
        }),
      ],
      reconcile,
    } as AnyController),
  );
  await cluster.client.create(secrets, { metadata: { namespace, name: "cursed" } });
  await cluster.until(async () => reconciled.includes("cursed"));
  expect(tries).toBe(2);
});
