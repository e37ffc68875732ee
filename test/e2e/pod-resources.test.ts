import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Pod, pods } from "#api";
import type { HttpClient } from "#client";
import { createPod, getPod, readyPod, until } from "./client.ts";
import { Machine } from "./machine.ts";

let machine: Machine;
let client: HttpClient;

beforeAll(async () => {
  machine = await Machine.open();
  ({ client } = machine);
});
afterAll(() => machine?.close());

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

const resize = (name: string, spec: object): Promise<Pod> =>
  client.patch(pods, { namespace: "default", name }, { spec }, { type: "strategic", subresource: "resize" });
const conditionOf = ({ status }: Pod, type: string) => status?.conditions?.find((one) => one.type === type);

// Upstream's doPodResizeAction and handlePodResourcesResize, on a kernel.
test.skipIf(isUnified)("resizes containers and the pod's cgroup in place; one that does not fit waits", async () => {
  const limits = { cpu: "200m", memory: "64Mi" };
  await createPod(client, "resized", {
    ...grace,
    containers: [sleeper("a", { limits, requests: { ...limits, cpu: "100m" } })],
  });
  const { metadata, status } = await readyPod(client, "resized");
  const id = status?.containerStatuses?.[0]?.containerID?.replace("containerd://", "") ?? "";
  const pod = (controller: string): string => cgroupOf(controller, `pod${metadata.uid}`);
  const container = (controller: string): string => cgroupOf(controller, id);
  const more = { limits: { cpu: "400m", memory: "128Mi" }, requests: { cpu: "300m", memory: "100Mi" } };
  await resize("resized", { containers: [{ name: "a", resources: more }] });
  const grown = await until(async () => {
    const now = await getPod(client, "resized");
    const { resources, restartCount } = now.status?.containerStatuses?.[0] ?? {};
    return (
      resources?.limits?.["memory"] === "128Mi" && restartCount === 0 && !conditionOf(now, "PodResizeInProgress") && now
    );
  });
  expect(grown.status?.containerStatuses?.[0]?.resources).toEqual(more);
  expect(grown.status?.allocatedResources).toEqual(more.requests);
  for (const of of [pod, container]) {
    expect(read(of("cpu"), "cpu.cfs_quota_us")).toBe("40000");
    expect(read(of("cpu"), "cpu.shares")).toBe("307");
    expect(read(of("memory"), "memory.limit_in_bytes")).toBe(String(128 * 2 ** 20));
  }
  await resize("resized", {
    containers: [{ name: "a", resources: { limits: { cpu: "900", memory: "128Mi" }, requests: { cpu: "900" } } }],
  });
  const waiting = await until(async () => {
    const now = await getPod(client, "resized");
    return conditionOf(now, "PodResizePending") && now;
  });
  expect(conditionOf(waiting, "PodResizePending")).toMatchObject({ status: "True", reason: "Deferred" });
  expect(read(container("cpu"), "cpu.cfs_quota_us")).toBe("40000");
  await resize("resized", {
    containers: [
      { name: "a", resources: { limits: { cpu: "100m", memory: "32Mi" }, requests: { cpu: "50m", memory: "32Mi" } } },
    ],
  });
  await until(async () => !conditionOf(await getPod(client, "resized"), "PodResizePending"));
  await until(async () => read(pod("memory"), "memory.limit_in_bytes") === String(32 * 2 ** 20));
  expect(read(container("memory"), "memory.limit_in_bytes")).toBe(String(32 * 2 ** 20));
  await until(async () => read(pod("cpu"), "cpu.cfs_quota_us") === "10000");
  expect(read(container("cpu"), "cpu.cfs_quota_us")).toBe("10000");
});

test.skipIf(isUnified)("resizes a pod's own resources", async () => {
  const resources = { limits: { cpu: "200m", memory: "64Mi" }, requests: { cpu: "100m", memory: "64Mi" } };
  await createPod(client, "shared", { ...grace, resources, containers: [sleeper("a"), sleeper("b")] });
  const { metadata, status } = await readyPod(client, "shared");
  const id = status?.containerStatuses?.[0]?.containerID?.replace("containerd://", "") ?? "";
  const more = { limits: { cpu: "300m", memory: "96Mi" }, requests: { cpu: "150m", memory: "64Mi" } };
  await resize("shared", { resources: more });
  const memory = (name: string): string => read(cgroupOf("memory", name), "memory.limit_in_bytes");
  await until(async () => memory(`pod${metadata.uid}`) === String(96 * 2 ** 20));
  await until(async () => memory(id) === String(96 * 2 ** 20));
  const now = await until(async () => {
    const found = await getPod(client, "shared");
    return (
      !conditionOf(found, "PodResizeInProgress") && found.status?.resources?.limits?.["memory"] === "96Mi" && found
    );
  });
  expect(now.status?.resources).toEqual({ requests: more.requests, limits: more.limits });
  expect(read(cgroupOf("cpu", `pod${metadata.uid}`), "cpu.cfs_quota_us")).toBe("30000");
});
