import { mkdir, mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { handClock } from "#test/make";
import { PodDisks } from "./pod-disk.ts";
import type { PodSample } from "./sample.ts";
import { usageOfServer } from "./server-usage.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pod-disk-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const disksOf = (driverUsage: (path: string) => Promise<undefined> = async () => undefined): PodDisks =>
  new PodDisks(
    {
      ...{ podFolder: () => folder, secretFolder: () => join(folder, "memory") },
      ...{ logFolder: () => join(folder, "logs"), driverUsage },
    },
    handClock(),
  );
const pod = { sandbox: { uid: "u" }, containers: [] } as unknown as PodSample;
const kibibytes = 1024;

async function fill(plugin: string, name: string): Promise<void> {
  const path = join(folder, "volumes", plugin, name);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "content"), Buffer.alloc(256 * kibibytes));
}

// Upstream's IsLocalEphemeralVolume: what else a pod mounts is not stored on the node's disk, or not by the pod.
test("emptyDirs and configMaps count as the pod's use of the disk, other volumes do not", async () => {
  await fill("kubernetes.io~empty-dir", "scratch");
  await fill("kubernetes.io~configmap", "settings");
  await fill("kubernetes.io~secret", "password");
  await fill("kubernetes.io~projected", "token");
  const { total, volumes } = await disksOf().of(pod, undefined);
  const bytesOf = (name: string) => volumes.find((volume) => volume.name === name)?.usage.bytes ?? 0;
  expect(volumes.map(({ name }) => name).sort()).toEqual(["password", "scratch", "settings", "token"]);
  expect(bytesOf("password")).toBeGreaterThanOrEqual(256 * kibibytes);
  expect(total.bytes).toBe(bytesOf("scratch") + bytesOf("settings"));
});

test("volumes in memory are reported and do not count as the pod's use of the disk", async () => {
  const path = join(folder, "memory", "token");
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "content"), Buffer.alloc(256 * kibibytes));
  const { total, volumes } = await disksOf().of(pod, undefined);
  expect(volumes.map(({ name }) => name)).toEqual(["token"]);
  expect(volumes[0]?.usage.bytes).toBeGreaterThanOrEqual(256 * kibibytes);
  expect(total.bytes).toBe(0);
});

test("the use of a server's file system is what statfs(2) has", async () => {
  const { blocks, bsize, files } = await statfs(folder);
  const { bytes, inodes } = await usageOfServer(folder);
  expect(bytes?.total).toBe(blocks * bsize);
  expect(bytes?.used).toBeGreaterThan(0);
  expect(inodes?.total).toBe(files);
  await expect(usageOfServer(join(folder, "absent"))).rejects.toThrow("absent");
});
