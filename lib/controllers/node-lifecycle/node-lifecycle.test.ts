import { afterEach, beforeEach, expect, test } from "vitest";
import { leases, type Node, nodes, type Pod, pods } from "#api";
import { formatTime } from "#base";
import { memoryStore } from "#store/memory";
import { openCluster, type TestCluster } from "#test/cluster";
import { type HandClock, handClock, make } from "#test/make";

let cluster: TestCluster;
let clock: HandClock;
beforeEach(async () => {
  clock = handClock(Date.parse("2030-01-01T00:00:00Z"));
  cluster = await openCluster({ clock });
});
afterEach(() => cluster.close());

const get = () => cluster.client.get(nodes, { name: "one" });
const getPod = () => cluster.client.get(pods, { namespace: "default", name: "web" });
const taints = ({ spec }: Node) => (spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`).sort();
const ready = (object: Node | Pod) => object.status?.conditions?.find(({ type }) => type === "Ready")?.status;

/** Moves the clock in steps, so that timers on the way run at their own time. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 5) {
    clock.move(Math.min(5, seconds - second) * 1000);
    await cluster.quiet();
  }
}
const beat = async () => {
  const name = { namespace: "kube-node-lease", name: "one" };
  const spec = { holderIdentity: "one", renewTime: new Date(clock.now()).toISOString().replace("Z", "000Z") };
  const there = (await cluster.client.list(leases)).items.some(({ metadata }) => metadata.name === "one");
  if (there) await cluster.client.patch(leases, name, { spec }, { type: "merge" });
  else await cluster.client.create(leases, { metadata: name, spec } as never);
  await cluster.quiet();
};
const report = (status: string) => {
  const now = formatTime(clock.now());
  const condition = { type: "Ready", status, reason: "KubeletReady", lastHeartbeatTime: now, lastTransitionTime: now };
  const patch = { status: { conditions: [condition] } };
  return cluster.client.patch(nodes, { name: "one" }, patch, { type: "strategic", subresource: "status" });
};
async function runPod(): Promise<void> {
  await cluster.client.create(pods, make.pod({ spec: { nodeName: "one" } }) as Pod);
  await cluster.playAgents();
  expect(ready(await getPod())).toBe("True");
}

test("taints a node without heartbeats and marks its pods as not ready, until it reports again", async () => {
  await cluster.addNode("one");
  await beat();
  await runPod();
  await pass(45);
  await beat();
  await pass(45);
  expect([ready(await get()), taints(await get())]).toEqual(["True", []]);
  await pass(5);
  const lost = await get();
  expect(lost.status?.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
    status: "Unknown",
    reason: "NodeStatusUnknown",
    message: "Kubelet stopped posting node status.",
  });
  const key = "node.kubernetes.io/unreachable";
  expect(taints(lost)).toEqual([`${key}:NoExecute`, `${key}:NoSchedule`]);
  expect(ready(await getPod())).toBe("False");
  await beat();
  await report("True");
  await cluster.quiet();
  expect([ready(await get()), taints(await get())]).toEqual(["True", []]);
  // The pod was not evicted: it tolerates five minutes.
  await pass(310);
  expect((await getPod()).metadata.deletionTimestamp).toBeUndefined();
});

test("a node that reports not ready gets no pods, and loses its pods after five minutes", async () => {
  await cluster.addNode("one");
  await runPod();
  await report("False");
  await cluster.quiet();
  const key = "node.kubernetes.io/not-ready";
  expect(taints(await get())).toEqual([`${key}:NoExecute`, `${key}:NoSchedule`]);
  for (let second = 0; second < 295; second += 20) {
    await pass(20);
    await report("False");
  }
  await cluster.quiet();
  const gone = await getPod();
  expect(gone.metadata.deletionTimestamp).toBeDefined();
  expect(gone.status?.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
    reason: "DeletionByTaintManager",
  });
});

test("a NoExecute taint evicts pods that do not tolerate it, at once or after their toleration seconds", async () => {
  await cluster.addNode("one");
  const base = { operator: "Exists", key: "example.com/x" };
  for (const [name, tolerations] of Object.entries({
    none: [],
    ever: [base],
    brief: [{ ...base, tolerationSeconds: 30, effect: "NoExecute" }],
  })) {
    await cluster.client.create(pods, make.pod({ metadata: { name }, spec: { nodeName: "one", tolerations } }) as Pod);
  }
  const timeAdded = formatTime(clock.now());
  const taint = { key: "example.com/x", effect: "NoExecute", timeAdded };
  await cluster.client.patch(nodes, { name: "one" }, { spec: { taints: [taint] } }, { type: "merge" });
  await cluster.quiet();
  const going = async () =>
    (await cluster.client.list(pods)).items
      .filter(({ metadata }) => metadata.deletionTimestamp)
      .map(({ metadata }) => metadata.name);
  expect(await going()).toEqual(["none"]);
  await pass(25);
  expect(await going()).toEqual(["none"]);
  await pass(5);
  expect(await going()).toEqual(["brief", "none"]);
});

test("deletes the pods of a deleted node", async () => {
  await cluster.addNode("one");
  await runPod();
  await cluster.client.delete(nodes, { name: "one" });
  await cluster.quiet();
  await pass(35);
  expect((await getPod()).status?.phase).toBe("Running");
  await pass(10);
  expect((await cluster.client.list(pods)).items).toEqual([]);
});

test("remembers across restarts how long a node has been missing, until it is back", async () => {
  const store = memoryStore();
  const first = await openCluster({ clock, store });
  await first.addNode("one");
  await first.client.create(pods, make.pod({ spec: { nodeName: "one" } }) as Pod);
  await first.client.delete(nodes, { name: "one" });
  await first.quiet();
  await first.close();
  clock.move(41_000);
  const second = await openCluster({ clock, store });
  try {
    await second.until(async () => (await second.client.list(pods)).items.length === 0);
    await second.addNode("one");
    await second.client.create(pods, make.pod({ spec: { nodeName: "one" } }) as Pod);
    await second.client.delete(nodes, { name: "one" });
    await second.quiet();
    const noted = async () =>
      Object.keys((await second.client.get(pods, { namespace: "default", name: "web" })).metadata.annotations ?? {});
    expect(await noted()).toEqual(["skiff.dev/node-missed-since"]);
    await second.addNode("one");
    clock.move(41_000);
    await second.until(async () => (await noted()).length === 0);
  } finally {
    await second.close();
  }
});

test("gives nodes their grace period again after a restart", async () => {
  const store = memoryStore();
  const first = await openCluster({ clock, store });
  await first.addNode("one");
  await first.quiet();
  await first.close();
  clock.move(3600_000);
  const second = await openCluster({ clock, store });
  try {
    await second.quiet();
    expect(ready(await second.client.get(nodes, { name: "one" }))).toBe("True");
    clock.move(50_000);
    await second.until(async () => ready(await second.client.get(nodes, { name: "one" })) === "Unknown");
  } finally {
    await second.close();
  }
});

test("taints nodes with pressure and cordoned nodes", async () => {
  await cluster.addNode("one");
  const conditions = [{ type: "MemoryPressure", status: "True" }];
  await cluster.client.patch(
    nodes,
    { name: "one" },
    { status: { conditions } },
    { type: "strategic", subresource: "status" },
  );
  await cluster.client.patch(nodes, { name: "one" }, { spec: { unschedulable: true } }, { type: "merge" });
  await cluster.quiet();
  expect(taints(await get())).toEqual([
    "node.kubernetes.io/memory-pressure:NoSchedule",
    "node.kubernetes.io/unschedulable:NoSchedule",
  ]);
  await cluster.client.patch(nodes, { name: "one" }, { spec: { unschedulable: null } }, { type: "merge" });
  await cluster.quiet();
  expect(taints(await get())).toEqual(["node.kubernetes.io/memory-pressure:NoSchedule"]);
});
