import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { status } from "#agent/grpc";
import { csiNodes, type Node, nodes } from "#api";
import { silentLog, systemClock } from "#base";
import { openCluster, type TestCluster } from "#test/cluster";
import { CsiDriver, type CsiDriverOptions } from "#test/csi-driver";
import { Drivers, NodeObjects, nodeIdAnnotation, Registration } from "./index.ts";

let folder = "";
let cluster: TestCluster;
let drivers: Drivers;
let ends: (() => Promise<unknown> | unknown)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "csi-"));
  cluster = await openCluster({ asleep: true });
  await cluster.client.create(nodes, { metadata: { name: "n" } } as Node);
  ends = [() => cluster.close(), () => rm(folder, { recursive: true, force: true })];
});
afterEach(async () => {
  for (const end of ends.toReversed()) await end();
});

async function follow(timeoutMilliseconds?: number): Promise<void> {
  drivers = new Drivers({ objects: new NodeObjects(cluster.client, "n"), log: silentLog, timeoutMilliseconds });
  const registry = join(folder, "registry");
  const running = await new Registration({ folder: registry, drivers, clock: systemClock, log: silentLog }).start();
  ends.push(() => running.stop());
}

async function driver(options: Partial<CsiDriverOptions> = {}): Promise<CsiDriver> {
  const { name = "a.example" } = options;
  const started = await new CsiDriver({
    name,
    folder: join(folder, "content"),
    socket: join(folder, `${name}.sock`),
    registrarSocket: join(folder, "registry", `${name}-reg.sock`),
    ...options,
  }).start();
  ends.push(() => started.stop());
  return started;
}

const until = (check: () => unknown) => expect.poll(check, { timeout: 60_000, interval: 20 });
const registered = async () => (await cluster.client.get(csiNodes, { name: "n" }).catch(() => undefined))?.spec.drivers;

// Upstream's InstallCSIDriver and UninstallCSIDriver.
test("a driver is registered with its id, its labels and its count, and removed with its socket", async () => {
  await follow();
  const one = await driver({ nodeId: "i-1", maxVolumes: 7, topology: { "a.example/zone": "z1" } });
  await until(() => one.notices).toEqual([{ plugin_registered: true, error: "" }]);
  expect(await registered()).toEqual([
    { name: "a.example", nodeID: "i-1", topologyKeys: ["a.example/zone"], allocatable: { count: 7 } },
  ]);
  const node = await cluster.client.get(nodes, { name: "n" });
  expect(node.metadata.labels?.["a.example/zone"]).toBe("z1");
  expect(node.metadata.annotations?.[nodeIdAnnotation]).toBe('{"a.example":"i-1"}');
  const { metadata } = await cluster.client.get(csiNodes, { name: "n" });
  expect(metadata.ownerReferences).toEqual([{ apiVersion: "v1", kind: "Node", name: "n", uid: node.metadata.uid }]);
  await one.stop();
  await until(registered).toEqual([]);
  const after = await cluster.client.get(nodes, { name: "n" });
  expect(after.metadata.annotations?.[nodeIdAnnotation]).toBeUndefined();
  expect(drivers.get("a.example")).toBeUndefined();
});

test("a driver that is registered again with another id replaces its entry", async () => {
  await follow();
  const one = await driver({ nodeId: "i-1" });
  await until(() => one.notices.length).toBe(1);
  await one.stop();
  const two = await driver({ nodeId: "i-2" });
  await until(() => two.notices).toEqual([{ plugin_registered: true, error: "" }]);
  expect((await registered())?.map(({ nodeID }) => nodeID)).toEqual(["i-2"]);
});

// Upstream's GenerateRegisterPluginFunc and validateVersions.
test.each([
  { name: "another type", options: { pluginType: "DevicePlugin" }, words: "no handler registered for plugin type" },
  { name: "no versions", options: { versions: [] }, words: "empty list for supported versions" },
  { name: "version 2", options: { versions: ["2.0.0"] }, words: 'None of the versions specified ["2.0.0"]' },
  { name: "no id", options: { nodeId: "" }, words: "driverNodeID must not be empty" },
])("a plugin is refused and notified: $name", async ({ options, words }) => {
  await follow();
  const one = await driver(options);
  await until(() => one.notices[0]?.error ?? "").toContain(words);
  expect(one.notices[0]?.plugin_registered).toBe(false);
  expect((await registered()) ?? []).toEqual([]);
});

test("a driver whose label contradicts the node's is refused", async () => {
  const node = await cluster.client.get(nodes, { name: "n" });
  const labels = { "a.example/zone": "z2" };
  await cluster.client.update(nodes, { ...node, metadata: { ...node.metadata, labels } });
  await follow();
  const one = await driver({ topology: { "a.example/zone": "z1" } });
  await until(() => one.notices[0]?.error ?? "").toContain(
    'topology value collision: driver reported "a.example/zone":"z1" but existing label is "a.example/zone":"z2"',
  );
});

test("drivers and registrars that hang or fail hold up no other driver, and are registered once they answer", async () => {
  await follow(300);
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => void sockets.add(socket));
  await mkdir(join(folder, "registry"), { recursive: true });
  await new Promise<void>((resolve) => silent.listen(join(folder, "registry", "silent.sock"), resolve));
  ends.push(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const hanging = await driver({ name: "hanging.example" });
  hanging.faults.set("NodeGetInfo", { hangs: true });
  const failing = await driver({ name: "failing.example" });
  failing.faults.set("NodeGetInfo", { code: status.INTERNAL, message: "not now" });
  const good = await driver({ name: "good.example" });
  await until(() => good.notices).toEqual([{ plugin_registered: true, error: "" }]);
  await until(() => hanging.notices[0]?.error ?? "").toContain("rpc error: code = DeadlineExceeded desc =");
  await until(() => failing.notices[0]?.error ?? "").toContain("rpc error: code = Internal desc = not now");
  expect(drivers.names()).toEqual(["good.example"]);
  hanging.faults.clear();
  failing.faults.clear();
  await until(async () => (await registered())?.map(({ name }) => name).sort()).toEqual([
    "failing.example",
    "good.example",
    "hanging.example",
  ]);
});

test("the start ends once the drivers that are there are registered, and soon where one hangs", async () => {
  await driver();
  await follow();
  expect(drivers.names()).toEqual(["a.example"]);
  const hanging = await driver({ name: "hanging.example" });
  hanging.faults.set("NodeGetInfo", { hangs: true });
  await follow();
  expect(drivers.names()).toEqual(["a.example"]);
});

test("drivers that were removed while no agent ran are removed from the API", async () => {
  await new NodeObjects(cluster.client, "n").install("gone.example", { id: "i", maxVolumes: 0, topology: {} });
  await follow();
  await driver();
  await until(async () => (await registered())?.map(({ name }) => name)).toEqual(["a.example"]);
});

test("the CSINode of an earlier node of the same name is replaced", async () => {
  await new NodeObjects(cluster.client, "n").install("gone.example", { id: "i", maxVolumes: 0, topology: {} });
  await cluster.client.delete(nodes, { name: "n" });
  await until(() => cluster.client.get(nodes, { name: "n" }).catch(() => "gone")).toBe("gone");
  await cluster.client.create(nodes, { metadata: { name: "n" } } as Node);
  await new NodeObjects(cluster.client, "n").install("a.example", { id: "i", maxVolumes: 0, topology: {} });
  expect((await registered())?.map(({ name }) => name)).toEqual(["a.example"]);
});
