import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CgroupTree } from "#agent/runtime";
import type { Container, Pod } from "#api";
import { silentLog, systemClock } from "#base";
import { PodCgroups } from "./cgroups.ts";
import { burstableShares, cgroupParentOf, oomScoreAdjust, podResources, resourcesOf } from "./qos.ts";
import { makeContainer, makePod, testNode } from "./testing.ts";

const mebi = 2 ** 20;
type Resources = NonNullable<Container["resources"]>;
const withResources = (...list: Resources[]) =>
  makePod("p", { spec: { containers: list.map((resources, index) => makeContainer(`c${index}`, { resources })) } });
const both = (cpu: string, memory: string): Resources => ({ limits: { cpu, memory }, requests: { cpu, memory } });
const whole = (pod: Pod, resources: Resources): Pod => ({ ...pod, spec: { ...pod.spec!, resources } });

test("computes cgroup and OOM settings by QoS class", () => {
  const node = testNode;
  const guaranteed = withResources(both("1", "1Gi"));
  const burstable = withResources({ requests: { memory: "2Gi" } }, {});
  const besteffort = withResources({}, { requests: { cpu: "0" } });
  const score = (pod: Pod, index = 0) => oomScoreAdjust(pod, pod.spec!.containers![index]!, node.memoryBytes);
  expect([score(guaranteed), score(burstable), score(besteffort), score(burstable, 1)]).toEqual([-997, 750, 1000, 999]);
  guaranteed.metadata.uid = "a-b";
  burstable.metadata.uid = "a-b";
  expect(cgroupParentOf(guaranteed, "cgroupfs", "/kubepods")).toBe("/kubepods/poda-b");
  expect(cgroupParentOf(burstable, "cgroupfs", "/kubepods")).toBe("/kubepods/burstable/poda-b");
  expect(cgroupParentOf(burstable, "systemd", "kubepods")).toBe("kubepods-burstable-poda_b.slice");
  expect(cgroupParentOf(burstable, "none", "/kubepods")).toBeUndefined();
  const limits = resourcesOf(guaranteed, { name: "c", resources: { limits: { cpu: "1500m", memory: "1Gi" } } }, node);
  expect(limits).toEqual({
    ...{ cpuShares: 1536, cpuQuota: 150_000, cpuPeriod: 100_000, memoryBytes: 2 ** 30, oomScoreAdjust: -997 },
  });
  expect(resourcesOf(besteffort, { name: "c" }, node)).toEqual({ cpuShares: 2, oomScoreAdjust: 1000 });
});

// Upstream's GetContainerOOMScoreAdjust: sidecars by the least of the containers, and the pod's own memory shared.
test("the OOM score of sidecars and of pods with requests of their own", () => {
  const capacity = 1000 * mebi;
  const sidecar = makeContainer("side", { restartPolicy: "Always", resources: { requests: { memory: "10Mi" } } });
  const pod = withResources({ requests: { memory: "200Mi" } }, { requests: { memory: "100Mi" } });
  pod.spec!.initContainers = [sidecar as never];
  expect(oomScoreAdjust(pod, sidecar, capacity)).toBe(900);
  expect(oomScoreAdjust(pod, pod.spec!.containers[0]!, capacity)).toBe(800);
  // 610 MiB of the pod less 310 of its containers, over three.
  const own = whole(pod, { requests: { memory: "610Mi" } });
  expect(oomScoreAdjust(own, pod.spec!.containers[0]!, capacity)).toBe(700);
  expect(oomScoreAdjust(own, sidecar, capacity)).toBe(800);
});

// Upstream's TestResourceConfigForPod (cm/helpers_linux_test.go), and ResourceConfigForPod for pods' own resources.
test("a pod's cgroup has the sum of its limits where all containers have one", () => {
  expect(podResources(withResources({}), false)).toEqual({ cpuShares: 2 });
  expect(podResources(withResources({ requests: { cpu: "100m", memory: "100Mi" } }), false)).toEqual({
    cpuShares: 102,
  });
  const limited = { limits: { cpu: "200m", memory: "200Mi" }, requests: { cpu: "100m", memory: "100Mi" } };
  expect(podResources(withResources(limited), false)).toEqual({
    ...{ cpuShares: 102, cpuQuota: 20_000, cpuPeriod: 100_000, memoryBytes: 200 * mebi },
  });
  expect(podResources(withResources(limited, { requests: { cpu: "100m" } }), false)).toEqual({ cpuShares: 204 });
  expect(podResources(withResources(both("100m", "100Mi"), both("100m", "100Mi")), false)).toEqual({
    ...{ cpuShares: 204, cpuQuota: 20_000, cpuPeriod: 100_000, memoryBytes: 200 * mebi },
  });
  // An init container without limits lifts them; the pod's own limits bound all containers.
  const init = withResources(limited);
  init.spec!.initContainers = [makeContainer("init") as never];
  expect(podResources(init, false)).toEqual({ cpuShares: 102 });
  const own = whole(withResources({}, {}), { limits: { cpu: "1", memory: "300Mi" }, requests: { cpu: "500m" } });
  expect(podResources(own, false)).toEqual({
    ...{ cpuShares: 512, cpuQuota: 100_000, cpuPeriod: 100_000, memoryBytes: 300 * mebi },
  });
  expect(resourcesOf(own, own.spec!.containers[0]!, testNode)).toMatchObject({
    ...{ cpuShares: 1024, cpuQuota: 100_000, memoryBytes: 300 * mebi },
  });
  expect(burstableShares([own, withResources(limited), withResources({}), withResources(both("1", "1Gi"))])).toBe(614);
});

// Upstream's generateLinuxContainerResources and ApplyPodLevelMemoryHigh with memoryThrottlingFactor 0.9 and
// memoryReservationPolicy None: the defaults of v1.37.
test("cgroup v2 throttles containers between their request and their limit", () => {
  const node = { ...testNode, isUnified: true, allocatable: { memory: "1000Mi" } };
  const unified = (pod: Pod) => resourcesOf(pod, pod.spec!.containers[0]!, node).unified;
  const none = { "memory.oom.group": "1", "memory.min": "0", "memory.low": "0" };
  expect(unified(withResources(both("1", "100Mi")))).toEqual(none);
  const burstable = withResources({ limits: { memory: "200Mi" }, requests: { memory: "100Mi" } });
  expect(unified(burstable)).toEqual({ ...none, "memory.high": String(190 * mebi) });
  expect(unified(withResources({}))).toEqual({ ...none, "memory.high": String(900 * mebi) });
  const own = whole(withResources({}), { limits: { memory: "300Mi" }, requests: { memory: "100Mi" } });
  expect(unified(own)).toEqual(none);
  expect(podResources(own, true).unified).toEqual({ "memory.high": String(280 * mebi) });
  expect(podResources(burstable, true).unified).toBeUndefined();
});

const burstablePod = (): Pod => {
  const pod = withResources({ limits: { cpu: "500m", memory: "64Mi" }, requests: { cpu: "250m" } });
  pod.metadata.uid = "abc";
  return pod;
};

async function written(version: 1 | 2) {
  const mount = await mkdtemp(join(tmpdir(), "skiff-cgroups-"));
  if (version === 2) await writeFile(join(mount, "cgroup.controllers"), "cpu memory pids\n");
  const pod = burstablePod();
  const cgroups = new PodCgroups({
    ...{ tree: new CgroupTree(mount), root: "/kubepods", isUnified: version === 2, pods: () => [pod] },
    ...{ allocatable: { cpu: "4", memory: "8Gi" }, clock: systemClock, log: silentLog },
  });
  const stopping = new AbortController();
  const running = cgroups.run(stopping.signal);
  await mkdir(join(mount, "kubepods"), { recursive: true });
  await cgroups.ensure(pod);
  const read = (path: string) => readFile(join(mount, path), "utf8");
  const limits = await cgroups.read(pod);
  const end = async (): Promise<void> => {
    stopping.abort();
    await running;
    await rm(mount, { recursive: true });
  };
  return { read, limits, end };
}

// The names and values that cm/cgroup_v1_manager_linux.go and libcontainer write.
test("writes cgroups of version 1", async () => {
  const { read, limits, end } = await written(1);
  expect(await read("cpu/kubepods/burstable/cpu.shares")).toBe("256");
  expect(await read("cpu/kubepods/besteffort/cpu.shares")).toBe("2");
  const pod = "kubepods/burstable/podabc";
  expect(await read(`cpu/${pod}/cpu.shares`)).toBe("256");
  expect(await read(`cpu/${pod}/cpu.cfs_period_us`)).toBe("100000");
  expect(await read(`cpu/${pod}/cpu.cfs_quota_us`)).toBe("50000");
  expect(await read(`memory/${pod}/memory.limit_in_bytes`)).toBe(String(64 * mebi));
  expect(limits).toEqual({ cpuShares: 256, cpuQuota: 50_000, memoryBytes: 64 * mebi });
  await end();
});

// getCPUWeight: 1 + (shares - 2) * 9999 / 262142.
test("writes cgroups of version 2, with their controllers enabled from the root down", async () => {
  const { read, limits, end } = await written(2);
  expect(await read("cgroup.subtree_control")).toBe("+cpu +memory");
  expect(await read("kubepods/burstable/cgroup.subtree_control")).toBe("+cpu +memory");
  expect(await read("kubepods/burstable/cpu.weight")).toBe("10");
  const pod = "kubepods/burstable/podabc";
  expect(await read(`${pod}/cpu.weight`)).toBe("10");
  expect(await read(`${pod}/cpu.max`)).toBe("50000 100000");
  expect(await read(`${pod}/memory.max`)).toBe(String(64 * mebi));
  expect(limits).toEqual({ cpuQuota: 50_000, memoryBytes: 64 * mebi });
  await end();
});

// Upstream's cleanupOrphanedPodCgroups: runc creates a pod's cgroup in every hierarchy of cgroup v1.
test("finds the cgroups of pods without processes", async () => {
  const mount = await mkdtemp(join(tmpdir(), "skiff-cgroups-"));
  const paths = ["cpu", "pids"].flatMap((tree) =>
    ["podab-1", "podcd-2", "podium", "burstable"].map((name) => join(mount, tree, "kubepods/besteffort", name)),
  );
  for (const path of paths) await mkdir(join(path, "container"), { recursive: true });
  await writeFile(join(mount, "pids/kubepods/besteffort/podcd-2/container/cgroup.procs"), "1\n");
  const cgroups = new PodCgroups({
    ...{ tree: new CgroupTree(mount), root: "/kubepods", isUnified: false, pods: () => [] },
    ...{ allocatable: { cpu: "4", memory: "8Gi" }, clock: systemClock, log: silentLog },
  });
  expect(await cgroups.idle()).toEqual(["ab-1"]);
  await rm(mount, { recursive: true });
});
