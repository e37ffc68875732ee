import { access, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { status } from "#agent/grpc";
import { type PodVolumes, podVolumes } from "#agent/volumes";
import type { CSIDriver, Pod, Secret } from "#api";
import { CsiDriver, type CsiDriverOptions } from "#test/csi-driver";
import { type HandClock, handClock } from "#test/make";
import { CsiVolumes, Driver, volumeIdOf } from "./index.ts";

let folder = "";
let ends: (() => Promise<unknown> | unknown)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "csi-"));
  ends = [() => rm(folder, { recursive: true, force: true })];
});
afterEach(async () => {
  for (const end of ends.toReversed()) await end();
});

interface Setting {
  server: CsiDriver;
  volumes: PodVolumes;
  csi: CsiVolumes;
  /** The driver's object in the API. */
  object: { spec?: CSIDriver["spec"] | undefined };
  /** How often that was read. */
  reads: { count: number };
  clock: HandClock;
  secrets: Record<string, Secret>;
  registered: Map<string, Driver>;
}

async function setting(options: Partial<CsiDriverOptions> = {}, timeoutMilliseconds = 60_000): Promise<Setting> {
  const socket = join(folder, "a.sock");
  const server = await new CsiDriver({
    name: "a.example",
    folder: join(folder, "content"),
    socket,
    ...options,
  }).start();
  const driver = new Driver("a.example", socket, timeoutMilliseconds);
  ends.push(
    () => server.stop(),
    () => driver.close(),
  );
  const object: Setting["object"] = { spec: { volumeLifecycleModes: ["Ephemeral"] } };
  const reads = { count: 0 };
  const clock = handClock();
  const secrets: Record<string, Secret> = {};
  const registered = new Map([["a.example", driver]]);
  const csi = new CsiVolumes({
    node: "n",
    drivers: registered,
    csiDriver: async (name) => {
      reads.count++;
      return object.spec && { metadata: { name }, spec: object.spec };
    },
    clock,
    secret: async (namespace, name) => secrets[`${namespace}/${name}`],
    tokens: {
      get: async (_pod, { audience, expirationSeconds }) => ({
        token: `token for ${audience ?? "the API"} of ${expirationSeconds} s`,
        expires: Date.parse("2026-12-01T00:00:00Z"),
      }),
      forget: () => {},
    },
  });
  const volumes = podVolumes({
    folder: join(folder, "pods"),
    memory: false,
    configMap: async () => undefined,
    secret: async () => undefined,
    host: { ips: [] },
    allocatable: {},
    drivers: csi,
  });
  return { server, volumes, csi, object, reads, clock, secrets, registered };
}

const podOf = (csi: object = {}, spec: object = {}): Pod => ({
  metadata: { name: "p", namespace: "ns", uid: "u1" },
  spec: {
    containers: [],
    serviceAccountName: "sa",
    volumes: [{ name: "v", csi: { driver: "a.example", ...csi } }],
    ...spec,
  },
});
const volumeFolder = () => join(folder, "pods/u1/volumes/kubernetes.io~csi/v");
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

// Upstream's csiMountMgr.SetUpAt and TearDownAt.
test("publishes a volume with its attributes and secrets, and unpublishes it", async () => {
  const { server, volumes, secrets } = await setting();
  secrets["ns/s"] = { metadata: { name: "s" }, data: { key: Buffer.from("hush").toString("base64") } };
  const pod = podOf({ volumeAttributes: { size: "1" }, nodePublishSecretRef: { name: "s" }, fsType: "ext4" });
  const { v } = await volumes.mount(pod);
  const target = join(volumeFolder(), "mount");
  expect(v).toEqual({ path: target, readOnly: false });
  const id = volumeIdOf("u1", "v");
  expect(server.named("NodePublishVolume").map(({ request }) => request)).toEqual([
    {
      volume_id: id,
      publish_context: {},
      staging_target_path: "",
      target_path: target,
      volume_capability: {
        mount: { fs_type: "ext4", mount_flags: [], volume_mount_group: "" },
        block: null,
        access_mode: { mode: "SINGLE_NODE_WRITER" },
      },
      readonly: false,
      secrets: { key: "hush" },
      volume_context: { size: "1" },
    },
  ]);
  expect(JSON.parse(await readFile(join(volumeFolder(), "vol_data.json"), "utf8"))).toMatchObject({
    specVolID: "v",
    volumeHandle: id,
    driverName: "a.example",
    nodeName: "n",
    volumeLifecycleMode: "Ephemeral",
  });
  await volumes.unmount("u1");
  await volumes.unmount("u1");
  expect(server.named("NodeUnpublishVolume").map(({ request }) => request)).toEqual([
    { volume_id: id, target_path: target },
  ]);
  expect(await volumes.list()).toEqual([]);
});

test("passes the pod's name and its tokens as the driver's object requests it", async () => {
  const { server, volumes, object } = await setting();
  object.spec = {
    volumeLifecycleModes: ["Ephemeral"],
    podInfoOnMount: true,
    tokenRequests: [{ audience: "b", expirationSeconds: 700 }, { audience: "" }],
  };
  await volumes.mount(podOf());
  const tokens = JSON.stringify({
    "": { token: "token for the API of 3600 s", expirationTimestamp: "2026-12-01T00:00:00Z" },
    b: { token: "token for b of 700 s", expirationTimestamp: "2026-12-01T00:00:00Z" },
  });
  const info = {
    "csi.storage.k8s.io/pod.name": "p",
    "csi.storage.k8s.io/pod.namespace": "ns",
    "csi.storage.k8s.io/pod.uid": "u1",
    "csi.storage.k8s.io/serviceAccount.name": "sa",
    "csi.storage.k8s.io/ephemeral": "true",
  };
  const last = () => server.named("NodePublishVolume").at(-1)?.request;
  expect(last().volume_context).toEqual({ ...info, "csi.storage.k8s.io/serviceAccount.tokens": tokens });
  object.spec = { ...object.spec, serviceAccountTokenInSecrets: true };
  await volumes.mount(podOf());
  expect(last().volume_context).toEqual(info);
  expect(last().secrets).toEqual({ "csi.storage.k8s.io/serviceAccount.tokens": tokens });
});

test("publishes again at a refresh only where the driver requires it, and keeps the volume when that fails", async () => {
  const { server, volumes, object, reads, clock } = await setting();
  await volumes.mount(podOf());
  await volumes.refresh(podOf());
  expect(server.named("NodePublishVolume")).toHaveLength(1);
  expect(reads.count).toBe(2);
  object.spec = { ...object.spec, requiresRepublish: true };
  // Each read of an object costs on AWS.
  await volumes.refresh(podOf());
  expect(reads.count).toBe(2);
  await clock.forward(600_000);
  await volumes.refresh(podOf());
  expect(server.named("NodePublishVolume")).toHaveLength(2);
  server.faults.set("NodePublishVolume", { code: status.INVALID_ARGUMENT, message: "no" });
  await expect(volumes.refresh(podOf())).rejects.toThrow("rpc error: code = InvalidArgument desc = no");
  expect(await exists(join(volumeFolder(), "mount"))).toBe(true);
  expect(await exists(join(volumeFolder(), "vol_data.json"))).toBe(true);
});

test("a publication that is cancelled ends at once, and is unpublished: the driver may have gone on with it", async () => {
  const { server, volumes } = await setting();
  server.faults.set("NodePublishVolume", { hangs: true });
  const cancelled = new AbortController();
  const mounting = volumes.mount(podOf(), cancelled.signal);
  await expect.poll(() => server.named("NodePublishVolume"), { timeout: 60_000 }).toHaveLength(1);
  cancelled.abort();
  await expect(mounting).rejects.toThrow("aborted");
  expect(await exists(join(volumeFolder(), "vol_data.json"))).toBe(true);
  await volumes.unmount("u1");
  expect(server.named("NodeUnpublishVolume")).toHaveLength(1);
  expect(await volumes.list()).toEqual([]);
});

test.each([
  {
    name: "no object of the driver",
    spec: undefined,
    words: 'volume mode "Ephemeral" not supported by driver a.example (no CSIDriver object)',
  },
  {
    name: "a driver of persistent volumes",
    spec: { volumeLifecycleModes: ["Persistent"] },
    words: 'volume mode "Ephemeral" not supported by driver a.example (only supports ["Persistent"])',
  },
])("refuses volumes in pods' specs: $name", async ({ spec, words }) => {
  const { server, volumes, object } = await setting();
  object.spec = spec;
  const text = `kubernetes.io/csi: mounter.SetupAt failed to check volume lifecycle mode: ${words}`;
  await expect(volumes.mount(podOf())).rejects.toThrow(`MountVolume.SetUp failed for volume "v" : ${text}`);
  expect(server.calls).toEqual([]);
});

test("names a driver that is not registered, and a secret that does not exist", async () => {
  const { volumes, registered } = await setting();
  await expect(volumes.mount(podOf({ nodePublishSecretRef: { name: "s" } }))).rejects.toThrow(
    "fetching NodePublishSecretRef ns/s failed: kubernetes.io/csi: failed to find the secret s in the namespace ns",
  );
  registered.clear();
  await expect(volumes.mount(podOf())).rejects.toThrow(
    "driver name a.example not found in the list of registered CSI drivers",
  );
  await volumes.unmount("u1");
});

// Upstream's isFinalError.
test.each([
  { code: status.INVALID_ARGUMENT, name: "InvalidArgument", isKept: false },
  { code: status.ABORTED, name: "Aborted", isKept: true },
  { code: status.RESOURCE_EXHAUSTED, name: "ResourceExhausted", isKept: true },
  { code: status.UNAVAILABLE, name: "Unavailable", isKept: true },
])("the record of a volume whose publication fails with $name is kept: $isKept", async ({ code, name, isKept }) => {
  const { server, volumes } = await setting();
  server.faults.set("NodePublishVolume", { code, message: "no" });
  await expect(volumes.mount(podOf())).rejects.toThrow(`rpc error: code = ${name} desc = no`);
  expect(await exists(join(volumeFolder(), "vol_data.json"))).toBe(isKept);
  await volumes.unmount("u1");
  expect(server.named("NodeUnpublishVolume")).toHaveLength(isKept ? 1 : 0);
  expect(await volumes.list()).toEqual([]);
});

test("a driver that hangs fails its volume, which is unpublished when it answers again", async () => {
  const { server, volumes } = await setting({}, 300);
  server.faults.set("NodePublishVolume", { hangs: true });
  await expect(volumes.mount(podOf())).rejects.toThrow("rpc error: code = DeadlineExceeded desc =");
  server.faults.set("NodeUnpublishVolume", { hangs: true });
  await expect(volumes.unmount("u1")).rejects.toThrow(
    "Unmounter.TearDownAt failed: rpc error: code = DeadlineExceeded",
  );
  expect(await volumes.list()).toEqual(["u1"]);
  server.faults.clear();
  await volumes.unmount("u1");
  expect(await volumes.list()).toEqual([]);
});

test("a volume of an earlier agent is kept until its driver is registered", async () => {
  const { server, volumes, registered } = await setting();
  await volumes.mount(podOf());
  const driver = registered.get("a.example")!;
  registered.clear();
  await expect(volumes.unmount("u1")).rejects.toThrow("not found in the list of registered CSI drivers");
  expect(await exists(join(volumeFolder(), "mount/..", "vol_data.json"))).toBe(true);
  registered.set("a.example", driver);
  await volumes.unmount("u1");
  expect(server.named("NodeUnpublishVolume")).toHaveLength(1);
});

test("an agent that died before or after the record leaves nothing behind", async () => {
  const { server, volumes } = await setting();
  // Before: a folder without a record.
  await mkdir(volumeFolder(), { recursive: true });
  await writeFile(join(volumeFolder(), ".vol_data.json"), "{");
  await volumes.unmount("u1");
  expect(server.named("NodeUnpublishVolume")).toHaveLength(0);
  expect(await volumes.list()).toEqual([]);
  // After the driver has removed the target, with the record in place.
  await volumes.mount(podOf());
  await rm(join(volumeFolder(), "mount"), { recursive: true });
  await volumes.unmount("u1");
  expect(await volumes.list()).toEqual([]);
});

// Upstream's supportsFSGroup.
test.each([
  { name: "with a file system", fsType: "ext4", policy: undefined, mode: "2775" },
  { name: "not without one", fsType: undefined, policy: undefined, mode: "755" },
  { name: "with the policy File", fsType: undefined, policy: "File", mode: "2775" },
  { name: "not with the policy None", fsType: "ext4", policy: "None", mode: "755" },
  { name: "not where the driver does it", fsType: "ext4", policy: "File", isDrivers: true, mode: "755" },
])("changes the group of a volume's files: $name", async ({ fsType, policy, isDrivers, mode }) => {
  const { server, volumes, object } = await setting(isDrivers ? { capabilities: ["VOLUME_MOUNT_GROUP"] } : {});
  object.spec = { volumeLifecycleModes: ["Ephemeral"], ...(policy ? { fsGroupPolicy: policy } : {}) };
  const group = process.getgid!();
  const { v } = await volumes.mount(podOf(fsType ? { fsType } : {}, { securityContext: { fsGroup: group } }));
  const found = await stat(v!.path);
  expect((found.mode & 0o7777).toString(8)).toBe(mode);
  const { volume_capability } = server.named("NodePublishVolume")[0]!.request;
  expect(volume_capability.mount.volume_mount_group).toBe(isDrivers ? String(group) : "");
});

test("returns what a volume uses where its driver measures it", async () => {
  const without = await setting();
  await without.volumes.mount(podOf());
  expect(await without.csi.usage(volumeFolder())).toBeUndefined();
  expect(await without.csi.usage(join(folder, "none"))).toBeUndefined();
});

test("measures a volume by the driver", async () => {
  const { volumes, csi } = await setting({ capabilities: ["GET_VOLUME_STATS"] });
  await volumes.mount(podOf());
  const usage = await csi.usage(volumeFolder());
  expect(usage?.bytes?.total).toBeGreaterThan(0);
  expect(usage?.inodes).toBeDefined();
  expect(await readdir(volumeFolder())).toEqual(["mount", "vol_data.json"]);
});
