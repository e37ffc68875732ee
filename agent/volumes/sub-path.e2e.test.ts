import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { mountsBelow } from "#agent/runtime";
import { type PodVolumes, podVolumes } from "./index.ts";

let folder = "";
let volumes: PodVolumes;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "skiff-subpath-"));
  volumes = podVolumes({
    folder: join(folder, "pods"),
    memory: true,
    configMap: async () => undefined,
    secret: async () => undefined,
    host: { ips: [] },
    allocatable: {},
  });
});
afterEach(async () => {
  for (const path of await mountsBelow(folder)) execFileSync("umount", ["-l", path]);
  await rm(folder, { recursive: true, force: true });
});

const place = (subPath: string, index = 0) => ({
  uid: "u1",
  name: "v",
  volume: join(folder, "volume"),
  subPath,
  container: "c",
  index,
});

test("a subPath is bound, so that a container that exchanges it for a link does not redirect it", async () => {
  const volume = join(folder, "volume");
  await mkdir(join(volume, "data"), { recursive: true });
  await writeFile(join(volume, "data/own"), "");
  await mkdir(join(folder, "host"));
  await writeFile(join(folder, "host/foreign"), "");
  const path = await volumes.subPath(place("data"));
  await rename(join(volume, "data"), join(volume, "old"));
  await symlink(join(folder, "host"), join(volume, "data"));
  expect(await readdir(path)).toEqual(["own"]);
  await expect(volumes.subPath(place("data"))).rejects.toThrow("is outside of the volume");
});

test("a subPath is bound once, and again when the volume has another file in its place", async () => {
  const volume = join(folder, "volume");
  await mkdir(volume);
  await writeFile(join(volume, "file"), "first");
  const path = await volumes.subPath(place("file", 1));
  expect(await volumes.subPath(place("file", 1))).toBe(path);
  expect(await mountsBelow(folder)).toEqual([path]);
  await writeFile(join(volume, "next"), "second");
  await rename(join(volume, "next"), join(volume, "file"));
  expect(await volumes.subPath(place("file", 1))).toBe(path);
  expect(await readFile(path, "utf8")).toBe("second");
  await volumes.unmount("u1");
  await volumes.unmount("u1");
  expect(await mountsBelow(folder)).toEqual([]);
  expect(await readFile(join(volume, "file"), "utf8")).toBe("second");
});
