import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { volumeIdOf } from "#agent/csi";
import { mountsBelow } from "#agent/runtime";
import { csiDrivers, csiNodes, type Event, events, type Pod, pods, secrets } from "#api";
import type { HttpClient } from "#client";
import { CsiDriver } from "#test/csi-driver";
import { kubectl, type Setting } from "../kubectl/runner.ts";
import { createPod, findPod, getPod, isReady, readyPod, until } from "./client.ts";
import { Machine } from "./machine.ts";

let machine: Machine;
let client: HttpClient;
let folder: string;
let driver: CsiDriver;
let setting: Setting;

const agentFolder = () => join(machine.dataDir, "agents", "containerd");
/** Starts a driver and waits until the agent has registered it: pods that need it earlier have an event. */
async function startDriver(name: string): Promise<CsiDriver> {
  const started = await new CsiDriver({
    name,
    folder: join(folder, name),
    socket: join(folder, `${name}.sock`),
    registrarSocket: join(agentFolder(), "plugins_registry", `${name}-reg.sock`),
    capabilities: ["GET_VOLUME_STATS"],
    topology: { "files.example/zone": "quay" },
    maxVolumes: 9,
    mounts: true,
  }).start();
  await until(async () => started.notices.some((notice) => notice.plugin_registered));
  return started;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skiff-csi-"));
  machine = await Machine.open();
  ({ client, setting } = machine);
  driver = await startDriver("files.example");
  const spec = { attachRequired: false, podInfoOnMount: true, volumeLifecycleModes: ["Ephemeral"] };
  for (const name of ["files.example", "hanging.example"]) {
    await client.create(csiDrivers, { metadata: { name }, spec });
  }
});
afterAll(async () => {
  await machine?.close();
  await driver?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const specOf = (name: string, script: string) => ({
  terminationGracePeriodSeconds: 1,
  containers: [
    {
      name: "main",
      image: "busybox",
      command: ["sh", "-c", script],
      volumeMounts: [{ name: "v", mountPath: "/data" }],
    },
  ],
  volumes: [{ name: "v", csi: { driver: name, volumeAttributes: { color: "blue" } } }],
});
const contentOf = ({ metadata }: Pod) => driver.contentOf(volumeIdOf(metadata.uid ?? "", "v"));
const remove = async (name: string) => {
  await client.delete(pods, { namespace: "default", name });
  await until(async () => (await findPod(client, name)) === undefined);
};
const mounts = () => mountsBelow(join(agentFolder(), "pods"));
const eventsOf = async (name: string): Promise<Event[]> =>
  (await client.list(events, { namespace: "default" })).items.filter(
    ({ involvedObject }) => involvedObject?.name === name,
  );

test("a driver's volume is mounted into a container, measured, and unpublished with the pod", async () => {
  const pod = await createPod(client, "writer", specOf("files.example", "echo hello >/data/out; sleep 100000"));
  await readyPod(client, "writer");
  await until(async () => existsSync(join(contentOf(pod), "out")));
  expect(JSON.parse(readFileSync(join(contentOf(pod), "context.json"), "utf8"))).toMatchObject({
    color: "blue",
    "csi.storage.k8s.io/pod.name": "writer",
    "csi.storage.k8s.io/ephemeral": "true",
  });
  const volume = await until(async () => {
    const { out } = await kubectl(setting, { run: "get --raw /api/v1/nodes/boat/proxy/stats/summary", global: true });
    const summary = JSON.parse(out) as { pods: { podRef: { name: string }; volume?: { name: string }[] }[] };
    return summary.pods.find(({ podRef }) => podRef.name === "writer")?.volume?.find(({ name }) => name === "v");
  });
  expect(volume).toMatchObject({ capacityBytes: expect.any(Number), inodesUsed: expect.any(Number) });
  const { spec } = await client.get(csiNodes, { name: "boat" });
  expect(spec.drivers).toEqual([
    { name: "files.example", nodeID: "node-1", topologyKeys: ["files.example/zone"], allocatable: { count: 9 } },
  ]);
  await remove("writer");
  expect(existsSync(contentOf(pod))).toBe(false);
  expect((await mounts()).filter((path) => path.includes("kubernetes.io~csi"))).toEqual([]);
});

async function crash(between?: () => Promise<void>): Promise<void> {
  await machine.crash(between);
  ({ client } = machine);
}

test("an agent that is killed finds its volumes again: they stay with their pods, and go with those that are deleted", async () => {
  const stays = await createPod(client, "stays", specOf("files.example", "sleep 100000"));
  const goes = await createPod(client, "goes", specOf("files.example", "sleep 100000"));
  const before = await readyPod(client, "stays");
  await readyPod(client, "goes");
  await crash(async () => void (await client.delete(pods, { namespace: "default", name: "goes" }).catch(() => {})));
  await until(async () => (await findPod(client, "goes")) === undefined);
  expect(existsSync(contentOf(goes))).toBe(false);
  const after = await readyPod(client, "stays");
  expect(after.status?.containerStatuses?.[0]?.containerID).toBe(before.status?.containerStatuses?.[0]?.containerID);
  expect(existsSync(contentOf(stays))).toBe(true);
  await remove("stays");
  expect((await mounts()).filter((path) => path.includes("kubernetes.io~csi"))).toEqual([]);
});

/** With a volume of each way of mounting, and a subPath of each. */
const specOfAll = () => ({
  terminationGracePeriodSeconds: 1,
  containers: [
    {
      name: "main",
      image: "busybox",
      command: ["sh", "-c", "sleep 100000"],
      volumeMounts: ["memory", "scratch", "secret", "v"].flatMap((name) => [
        { name, mountPath: `/${name}` },
        { name, mountPath: `/${name}-part`, subPath: name === "secret" ? "word" : "part" },
      ]),
    },
  ],
  volumes: [
    { name: "memory", emptyDir: { medium: "Memory" } },
    { name: "scratch", emptyDir: {} },
    { name: "secret", secret: { secretName: "hush" } },
    { name: "v", csi: { driver: "files.example" } },
  ],
});

/** Nothing of any pod is left on the machine; the file system of all pods' secrets is the agent's own. */
async function expectNothingLeft(): Promise<void> {
  const podsFolder = join(agentFolder(), "pods");
  await until(async () => readdirSync(podsFolder).every((name) => name === ".memory"));
  expect((await mounts()).filter((path) => path !== join(podsFolder, ".memory"))).toEqual([]);
  expect(readdirSync(join(podsFolder, ".memory"))).toEqual([]);
  expect(readdirSync(join(folder, "files.example"))).toEqual([]);
}

// Steps at which the driver can hold the agent: each is recorded before it is begun.
test.each([
  { call: "NodeGetCapabilities", hangs: true },
  { call: "NodePublishVolume", hangs: true },
  { call: "NodePublishVolume", hangs: "done" },
  { call: "NodeUnpublishVolume", hangs: true },
  { call: "NodeUnpublishVolume", hangs: "done" },
] as const)(
  "an agent that is killed during $call ($hangs) leaves nothing mounted after its restart",
  async ({ call, hangs }) => {
    await client
      .create(secrets, { metadata: { namespace: "default", name: "hush" }, data: { word: "aHVzaA==" } })
      .catch(() => {});
    const isUnmount = call === "NodeUnpublishVolume";
    driver.calls.length = 0;
    driver.done.length = 0;
    if (!isUnmount) driver.faults.set(call, { hangs });
    await createPod(client, "all", specOfAll());
    if (isUnmount) {
      await readyPod(client, "all");
      driver.faults.set(call, { hangs });
      await client.delete(pods, { namespace: "default", name: "all" });
    }
    await until(async () => (hangs === "done" ? driver.done : driver.named(call)).length > 0);
    await crash(async () => driver.faults.clear());
    if (!isUnmount) {
      await readyPod(client, "all");
      await client.delete(pods, { namespace: "default", name: "all" });
    }
    await until(async () => (await findPod(client, "all")) === undefined);
    await expectNothingLeft();
  },
  300_000,
);

test("an agent that is killed at any moment of pods' starts and ends leaves nothing mounted after its restart", async () => {
  for (const milliseconds of [100, 400, 900, 1600]) {
    await createPod(client, "first", specOfAll());
    await readyPod(client, "first");
    await client.delete(pods, { namespace: "default", name: "first" });
    await createPod(client, "second", specOfAll());
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    await crash();
    await readyPod(client, "second");
    await remove("second");
    await until(async () => (await findPod(client, "first")) === undefined);
    await expectNothingLeft();
  }
}, 600_000);

test("a pod whose driver hangs is deleted at once", async () => {
  const hanging = await startDriver("hanging.example");
  try {
    hanging.faults.set("NodePublishVolume", { hangs: "done" });
    await createPod(client, "deleted", specOf("hanging.example", "sleep 100000"));
    await until(async () => hanging.done.length > 0);
    await remove("deleted");
    expect(hanging.named("NodeUnpublishVolume")).toHaveLength(1);
    await expectNothingLeft();
  } finally {
    await hanging.stop();
  }
}, 300_000);

test("a driver that hangs keeps its pod waiting, and no other", async () => {
  const hanging = await startDriver("hanging.example");
  try {
    hanging.faults.set("NodePublishVolume", { hangs: true });
    await createPod(client, "waits", specOf("hanging.example", "sleep 100000"));
    await until(async () => hanging.named("NodePublishVolume").length > 0);
    await createPod(client, "runs", specOf("files.example", "sleep 100000"));
    await readyPod(client, "runs");
    expect(isReady(await getPod(client, "waits"))).toBe(false);
    await remove("runs");
    await until(
      async () => (await eventsOf("waits")).some(({ message }) => message?.includes("code = DeadlineExceeded")),
      150,
    );
    expect((await eventsOf("waits")).filter(({ reason }) => reason === "FailedMount")).toHaveLength(1);
    hanging.faults.clear();
    await readyPod(client, "waits");
    await remove("waits");
  } finally {
    await hanging.stop();
  }
}, 300_000);
