import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, statfs, writeFile } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { mountsBelow } from "#agent/runtime";
import type { Pod, Volume } from "#api";
import { type DriverVolumes, dropMemory, type PodVolumes, podVolumes } from "./index.ts";

/** What statfs(2) calls tmpfs. */
const tmpfs = 0x01021994;

let folder = "";
let volumes: PodVolumes;
beforeEach(async () => {
  // With a blank, which /proc/mounts escapes.
  folder = await mkdtemp(join(tmpdir(), "skiff memory-"));
  const secret = { metadata: { name: "s" }, data: { word: Buffer.from("hush").toString("base64") } };
  volumes = podVolumes({
    folder: join(folder, "pods"),
    memory: true,
    configMap: async (_namespace, name) => ({ metadata: { name }, data: { plain: "text" } }),
    secret: async () => secret,
    host: { ips: [] },
    allocatable: {},
    tokens: { get: async () => ({ token: "a token", expires: 0 }), forget: () => {} },
  });
});
afterEach(async () => {
  for (const path of await mountsBelow(folder)) execFileSync("umount", [path]);
  await rm(folder, { recursive: true, force: true });
});

const all: Volume[] = [
  { name: "secret", secret: { secretName: "s" } },
  { name: "token", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } },
  { name: "mixed", projected: { sources: [{ configMap: { name: "c" } }, { secret: { name: "s" } }] } },
  { name: "memory", emptyDir: { medium: "Memory" } },
  { name: "config", configMap: { name: "c" } },
  { name: "plain", projected: { sources: [{ configMap: { name: "c" } }] } },
  { name: "scratch", emptyDir: {} },
];
const pod: Pod = { metadata: { name: "p", namespace: "n", uid: "u1" }, spec: { containers: [], volumes: all } };

const inMemory = async (mounted: Record<string, { path: string }>): Promise<string[]> => {
  const names: string[] = [];
  for (const [name, { path }] of Object.entries(mounted)) if ((await statfs(path)).type === tmpfs) names.push(name);
  return names;
};

test("keeps secrets and tokens in memory and mounts them again after a restart of the machine", async () => {
  const mounted = await volumes.mount(pod);
  const expected = ["secret", "token", "mixed", "memory"];
  expect(await inMemory(mounted)).toEqual(expected);
  expect(await readFile(join(mounted["secret"]!.path, "word"), "utf8")).toBe("hush");
  await writeFile(join(mounted["memory"]!.path, "file"), "x");
  await volumes.refresh(pod);
  await volumes.mount(pod);
  // One for all secrets and tokens, and the emptyDir.
  expect((await mountsBelow(folder)).length).toBe(2);
  expect(await volumes.list()).toEqual(["u1"]);
  expect(await readFile(join(mounted["memory"]!.path, "file"), "utf8")).toBe("x");
  // After a restart of the machine folders are left, but no mounts.
  for (const path of await mountsBelow(folder)) execFileSync("umount", [path]);
  expect(spawnSync("grep", ["-rq", "hush", folder]).status).toBe(1);
  expect(await inMemory(await volumes.mount(pod))).toEqual(expected);
  expect(await readFile(join(mounted["secret"]!.path, "word"), "utf8")).toBe("hush");
  await volumes.unmount("u1");
  expect(await mountsBelow(folder)).toEqual([join(folder, "pods", ".memory")]);
  expect(await volumes.list()).toEqual([]);
  expect(spawnSync("grep", ["-rq", "hush", folder]).status).toBe(1);
});

// Upstream's generateTmpfsMountOptions; Linux has noswap since 6.4.
test("keeps memory out of the swap where the kernel can, with the pod's group", async () => {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  const spec = { containers: [], volumes: all.slice(0, 4), securityContext: { fsGroup: 4321 } };
  const { memory } = await volumes.mount({ ...pod, spec });
  const lines = (await readFile("/proc/mounts", "utf8"))
    .split("\n")
    .filter((line) => line.includes("skiff\\040memory-"));
  expect(lines).toHaveLength(2);
  const isNew = major > 6 || (major === 6 && minor >= 4);
  expect(lines.filter((line) => /[ ,]noswap[ ,]/.test(line))).toHaveLength(isNew ? 2 : 0);
  const { gid, mode } = await stat(memory!.path);
  expect([gid, mode & 0o7777]).toEqual([4321, 0o3777]);
});

test("leaves secrets that an earlier version stored on the disk until the cluster ends", async () => {
  const old = join(folder, "pods", "u1", "volumes", "kubernetes.io~secret", "secret");
  await mkdir(old, { recursive: true });
  await writeFile(join(old, "..data"), "");
  await volumes.mount({ ...pod, spec: { containers: [], volumes: [all[3]!] } });
  await dropMemory(join(folder, "pods"));
  expect(await mountsBelow(folder)).toEqual([]);
  expect(await inMemory(await volumes.mount(pod))).toContain("secret");
});

test("a driver that fails to unmount keeps no memory in use", async () => {
  const csi = { name: "csi", csi: { driver: "d" } };
  const at = join(folder, "pods", "u1", "volumes", "kubernetes.io~csi", "csi");
  let isBroken = true;
  const drivers: DriverVolumes = {
    mount: async ({ folder: path }) => {
      await mkdir(path, { recursive: true });
      execFileSync("mount", ["-t", "tmpfs", "tmpfs", path]);
      return { path, readOnly: false };
    },
    refresh: async () => {},
    unmount: async () => {
      if (isBroken) throw new Error("the driver hangs");
      if ((await mountsBelow(folder)).includes(at)) execFileSync("umount", [at]);
    },
  };
  const withDriver = podVolumes({
    ...{ folder: join(folder, "pods"), memory: true, host: { ips: [] }, allocatable: {}, drivers },
    configMap: async () => undefined,
    secret: async () => undefined,
  });
  const volumesOfPod = [{ name: "memory", emptyDir: { medium: "Memory" } }, csi];
  await withDriver.mount({ ...pod, spec: { containers: [], volumes: volumesOfPod } });
  expect(await mountsBelow(folder)).toHaveLength(2);
  await expect(withDriver.unmount("u1")).rejects.toThrow("the driver hangs");
  // The driver's own mount is the driver's to end.
  expect(await mountsBelow(folder)).toEqual([at]);
  isBroken = false;
  await writeFile(join(folder, "pods", "u1", "etc-hosts"), "");
  await withDriver.release("u1");
  expect(await readdir(join(folder, "pods", "u1"))).toEqual(["etc-hosts"]);
  await withDriver.unmount("u1");
  expect(await withDriver.list()).toEqual([]);
});
