import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { HttpClient } from "#client";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { connect, createPod, readyPod } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { skiffDown } from "./skiff.ts";

let registry: Registry;
let skiff: SkiffProcess;
let client: HttpClient;

beforeAll(async () => {
  registry = await startRegistry();
  skiff = await startSkiff(["--registry-mirror", `docker.io=http://${registry.address}`, "--node-name", "boat"]);
  client = connect(skiff.dataDir);
});
afterAll(async () => {
  client?.close();
  if (skiff) await skiffDown(skiff);
  await registry?.stop();
});

const grace = { terminationGracePeriodSeconds: 1 };
const sleeper = (name: string, resources: object = {}, more: object = {}) => ({
  ...{ name, image: "busybox", command: ["sleep", "3600"], resources },
  ...more,
});

/** The folder of a cgroup of version 1 whose last part has this name. */
function cgroupOf(controller: string, name: string): string {
  const search = (folder: string, depth: number): string | undefined => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const path = join(folder, entry.name);
      const found = entry.name === name ? path : depth > 0 ? search(path, depth - 1) : undefined;
      if (found) return found;
    }
    return undefined;
  };
  return search(`/sys/fs/cgroup/${controller}`, 3) ?? "";
}
const read = (folder: string, file: string): string => readFileSync(join(folder, file), "utf8").trim();

const isUnified = readdirSync("/sys/fs/cgroup").includes("cgroup.controllers");

// Upstream's pod container manager: ResourceConfigForPod, and the QoS classes' shares.
test.skipIf(isUnified)(
  "pods have cgroups with the limits of all their containers, below that of their class",
  async () => {
    const limits = { cpu: "200m", memory: "64Mi" };
    const requests = { cpu: "100m", memory: "32Mi" };
    await createPod(client, "limited", {
      ...grace,
      containers: [sleeper("a", { limits, requests }), sleeper("b", { limits })],
    });
    const whole = { limits: { cpu: "500m", memory: "100Mi" }, requests: { cpu: "250m" } };
    await createPod(client, "whole", { ...grace, resources: whole, containers: [sleeper("a"), sleeper("b")] });
    await createPod(client, "free", { ...grace, containers: [sleeper("a")] });
    const limited = await readyPod(client, "limited");
    const pod = (controller: string): string => cgroupOf(controller, `pod${limited.metadata.uid}`);
    expect(read(pod("cpu"), "cpu.shares")).toBe("307");
    expect(read(pod("cpu"), "cpu.cfs_quota_us")).toBe("40000");
    expect(read(pod("memory"), "memory.limit_in_bytes")).toBe(String(128 * 2 ** 20));
    const own = await readyPod(client, "whole");
    const ofWhole = (controller: string): string => cgroupOf(controller, `pod${own.metadata.uid}`);
    expect(read(ofWhole("cpu"), "cpu.cfs_quota_us")).toBe("50000");
    expect(read(ofWhole("memory"), "memory.limit_in_bytes")).toBe(String(100 * 2 ** 20));
    const free = await readyPod(client, "free");
    const ofFree = cgroupOf("cpu", `pod${free.metadata.uid}`);
    expect(read(ofFree, "cpu.shares")).toBe("2");
    expect(read(join(ofFree, ".."), "cpu.shares")).toBe("2");
    // 300m and 250m.
    expect(read(join(pod("cpu"), ".."), "cpu.shares")).toBe("563");
  },
);
