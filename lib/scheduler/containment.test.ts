import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Pod, pods } from "#api";
import { type Log, silentLog, systemRandom } from "#base";
import { MetricRegistry, schedulingMetrics } from "#metrics";
import { openCluster, type TestCluster } from "#test/cluster";
import type { Plugin, PodInfo } from "./framework/index.ts";
import { plugins } from "./plugins/index.ts";
import { type Scheduler, startScheduler } from "./scheduler.ts";

const namespace = "default";
/** The cluster's own scheduler ignores pods of another name. */
const schedulerName = "planted";
const container = { name: "c", image: "i" };
const cursed = (name: string) => name === "cursed";
const fail = (info: PodInfo): undefined => {
  if (cursed(info.pod.metadata.name ?? "")) throw new Error("planted");
};

let cluster: TestCluster;
let scheduler: Scheduler;
let errors: string[];
let counted: MetricRegistry;
let recorded: [name: string | undefined, type: string, message: string][];
beforeEach(async () => {
  cluster = await openCluster();
  errors = [];
  recorded = [];
});
afterEach(async () => {
  await scheduler.stop();
  await cluster.close();
});

function start(more: readonly Plugin[] = []): void {
  const { client, clock } = cluster;
  const log: Log = { ...silentLog, error: (text, fields) => errors.push(`${text} ${JSON.stringify(fields)}`) };
  const given = { client, clock, random: systemRandom, log };
  counted = new MetricRegistry();
  scheduler = startScheduler({
    ...given,
    metrics: schedulingMetrics(counted),
    record: ({ object }, type, _reason, message) => void recorded.push([object.metadata.name, type, message]),
    plugins: [...plugins, ...more],
    name: schedulerName,
  });
}

const add = (name: string, spec: object = {}) =>
  cluster.client.create(pods, {
    metadata: { name, namespace },
    spec: { schedulerName, containers: [container], ...spec },
  } as Pod);
/** A node without the taint of new nodes, which controllers remove. */
const addNode = async (...node: Parameters<TestCluster["addNode"]>): Promise<void> => {
  await cluster.addNode(...node);
  await cluster.quiet();
};
const get = (name: string) => cluster.client.get(pods, { namespace, name });
const bound = (name: string) => cluster.until(async () => (await get(name)).spec?.nodeName);
const scheduled = (name: string) =>
  cluster.until(async () => (await get(name)).status?.conditions?.find(({ type }) => type === "PodScheduled"));
const messages = (about: string) =>
  recorded.filter(([name, type]) => name === about && type === "Warning").map(([, , message]) => message);

/**
 * The extension points at which a plugin throws for the pod `cursed`, with upstream's messages
 * (framework/runtime/framework.go).
 */
const points: [string, Partial<Plugin>, string][] = [
  ["preFilter", { preFilter: fail }, 'running PreFilter plugin "Planted": planted'],
  ["filter", { filter: fail }, 'running "Planted" filter plugin: planted'],
  ["preScore", { preScore: fail, score: () => 0 }, 'running PreScore plugin "Planted": planted'],
  ["score", { score: (info) => fail(info) ?? 0 }, 'running Score plugins: plugin "Planted" failed with: planted'],
];

describe("a plugin that throws costs one pod an attempt and does not stop the scheduler", () => {
  test.each(points)("in %s", async (_point, planted, message) => {
    start([{ name: "Planted", ...planted }]);
    await addNode("one");
    await addNode("two");
    await add("cursed");
    await add("plain");
    expect(await bound("plain")).toBeDefined();
    expect(await scheduled("cursed")).toMatchObject({ status: "False", reason: "SchedulerError", message });
    await cluster.until(async () => messages("cursed").includes(message));
    expect(counted.text()).toMatch(
      /^scheduler_schedule_attempts_total\{profile="default-scheduler",result="error"\} [1-9]/m,
    );
    expect(errors.join("\n")).toContain("planted");
  });

  test("in preEnqueue", async () => {
    const preEnqueue = (pod: Pod): undefined => {
      if (cursed(pod.metadata.name ?? "")) throw new Error("planted");
    };
    start([{ name: "Planted", preEnqueue }]);
    await addNode("one");
    await add("cursed");
    await add("plain");
    expect(await bound("plain")).toBe("one");
    await cluster.until(async () => messages("cursed")[0]?.includes("planted"));
    expect(counted.text()).toMatch(/^skiff_scheduler_contained_failures_total\{profile="default-scheduler"\} 1$/m);
    expect((await get("cursed")).spec?.nodeName).toBeUndefined();
  });

  test("in a hint: the hint then counts as true", async () => {
    const hint = vi.fn(() => {
      throw new Error("planted");
    });
    let open = false;
    const filter: Plugin["filter"] = () => (open ? undefined : { reasons: ["not yet"], resolvable: false });
    start([{ name: "Planted", filter, hint }]);
    await addNode("one");
    await add("cursed");
    await scheduled("cursed");
    open = true;
    await addNode("two");
    expect(await bound("cursed")).toBeDefined();
    expect(hint).toHaveBeenCalled();
    await cluster.until(async () => messages("cursed").some((text) => text.includes("planted")));
  });
});

describe("affinity values that are not integers (seen on v1.37.2)", () => {
  const affinity = (kind: object) => ({ affinity: { nodeAffinity: kind } });
  const expression = (operator: string, value: string) => ({
    matchExpressions: [{ key: "release", operator, values: [value] }],
  });
  const required = (operator: string, value: string) =>
    affinity({ requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [expression(operator, value)] } });
  const preferredTerm = (operator: string, value: string) =>
    affinity({
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: expression(operator, value) }],
    });
  beforeEach(async () => {
    for (const name of ["one", "two"]) {
      await addNode(name, { metadata: { name, labels: { release: "500" } } });
    }
  });

  test.each([
    ["Gt", "499.5"],
    ["Lt", "large"],
    ["Gt", ""],
    ["Lt", "9223372036854775808"],
  ])("required %s %j matches no node", async (operator, value) => {
    start();
    await add("picky", required(operator, value));
    await add("plain");
    await bound("plain");
    expect(await scheduled("picky")).toMatchObject({
      reason: "Unschedulable",
      message: expect.stringContaining("2 node(s) didn't match Pod's node affinity/selector"),
    });
  });

  test("preferred: the attempt fails", async () => {
    start();
    await add("picky", preferredTerm("Lt", "large"));
    await add("plain");
    await bound("plain");
    expect(await scheduled("picky")).toMatchObject({
      reason: "SchedulerError",
      message:
        'running PreScore plugin "NodeAffinity": [0].matchExpressions[0].values[0]: Invalid value: "large": ' +
        "for 'Gt', 'Lt' operators, the value must be an integer",
    });
  });

  test("compares 64-bit integers", async () => {
    start();
    await add("picky", required("Lt", "9223372036854775807"));
    expect(await bound("picky")).toBeDefined();
  });
});
