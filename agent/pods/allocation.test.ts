import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { noVolumes } from "#agent/volumes";
import type { Pod } from "#api";
import { capacityOf, inOrder, shortagesOf, withAllocation } from "./allocation.ts";
import { victimsFor } from "./preemption.ts";
import { Cluster, makeContainer, makePod } from "./testing.ts";

const asking = (name: string, cpu: string, more: { priority?: number; memory?: string } = {}): Pod => {
  const resources = { requests: { cpu, memory: more.memory ?? "1Gi" } };
  const priority = more.priority === undefined ? {} : { priority: more.priority };
  return makePod(name, { spec: { ...priority, containers: [makeContainer("main", { resources })] } });
};
const ask = (cluster: Cluster, name: string, cpu: string): void =>
  cluster.change(name, (pod) => {
    pod.spec!.containers[0]!.resources = { requests: { cpu, memory: "1Gi" } };
    pod.metadata.generation = Number(pod.metadata.generation ?? 0) + 1;
  });
const shortageOf = (...given: Parameters<typeof shortagesOf>) => shortagesOf(...given)[0];
const resizing = (cluster: Cluster, name: string) =>
  (cluster.status(name).conditions ?? [])
    .filter(({ type }) => type.startsWith("PodResize"))
    .map(({ type, reason, message, observedGeneration }) => ({ type, reason, message, observedGeneration }));
const inEffect = (cluster: Cluster, name: string) => {
  const { allocatedResources, resources } = cluster.status(name).containerStatuses![0]!;
  return [allocatedResources?.["cpu"], resources?.requests?.["cpu"]];
};

// Upstream's fitsRequest, its InsufficientResourceError and the order of its checks.
test("a pod that does not fit names the first resource that is missing", () => {
  const capacity = capacityOf({ cpu: "4", memory: "8Gi", "ephemeral-storage": "100Gi", pods: "3" });
  const others = [asking("a", "1"), asking("b", "1500m")];
  expect(shortageOf(asking("c", "1500m"), others, capacity)).toBeUndefined();
  expect(shortageOf(asking("c", "1501m"), others, capacity)).toMatchObject({
    resource: "cpu",
    message: "Node didn't have enough resource: cpu, requested: 1501, used: 2500, capacity: 4000",
  });
  expect(shortageOf(asking("c", "1", { memory: "7Gi" }), others, capacity)?.resource).toBe("memory");
  expect(shortageOf(makePod("c"), [...others, makePod("d")], capacity)).toMatchObject({
    resource: "pods",
    message: "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
  });
  // A pod without requests fits where there is a place for it.
  expect(shortageOf(makePod("c"), [asking("a", "9")], capacity)).toBeUndefined();
});

// Upstream's sortPendingResizes.
test("waiting resizes are ordered by what they ask for, priority, class and time", () => {
  const pending = (pod: Pod, cpu: string, since: number) => ({
    ...{ pod, since },
    allocation: { containers: { main: { requests: { cpu, memory: "1Gi" } } } },
  });
  const limited = asking("limited", "2");
  limited.spec!.containers[0]!.resources!.limits = { cpu: "2", memory: "1Gi" };
  const all = [
    pending(asking("late", "2"), "1", 9),
    pending(asking("early", "2"), "1", 1),
    pending(limited, "1", 10),
    pending(asking("important", "2", { priority: 5 }), "1", 11),
    pending(asking("less", "1"), "2", 12),
  ];
  expect(inOrder(all).map(({ pod }) => pod.metadata.name)).toEqual(["less", "important", "limited", "early", "late"]);
  expect(withAllocation(limited, all[2]!.allocation).spec!.containers[0]!.resources!.requests!["cpu"]).toBe("1");
});

test("rejects a pod for which too little is left, until other pods have ended", async () => {
  const cluster = new Cluster();
  cluster.create(asking("first", "3"));
  await cluster.settle();
  cluster.create(asking("second", "2"));
  await cluster.settle();
  expect(cluster.status("second")).toMatchObject({
    phase: "Failed",
    reason: "OutOfcpu",
    message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000",
  });
  cluster.remove("first", 1);
  await cluster.clock.forward(5000);
  cluster.create(asking("third", "2"));
  await cluster.settle();
  expect(cluster.status("third").phase).toBe("Running");
  await cluster.manager.stop();
});

// Upstream's handlePodResourcesResize, its conditions and events; a resize that does not fit is deferred in v1.37,
// whatever the capacity of the node.
test("defers a resize that does not fit, and grants it when another pod shrinks", async () => {
  const cluster = new Cluster();
  cluster.create(asking("big", "3"));
  cluster.create(asking("small", "1"));
  await cluster.settle();
  expect(inEffect(cluster, "small")).toEqual(["1", "1"]);
  ask(cluster, "small", "2");
  await cluster.settle();
  const missing = "Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000";
  expect(resizing(cluster, "small")).toEqual([
    { type: "PodResizePending", reason: "Deferred", message: missing, observedGeneration: 2 },
  ]);
  expect(inEffect(cluster, "small")).toEqual(["1", "1"]);
  const summary = `{"containers":[{"name":"main","resources":{"requests":{"cpu":"2","memory":"1Gi"}}}],"generation":2`;
  expect(cluster.events).toContain(
    `Warning ResizeDeferred Pod resize Deferred: ${summary},"error":${JSON.stringify(missing)}}`,
  );
  const deferred = () => cluster.events.filter((event) => event.includes("ResizeDeferred")).length;
  await cluster.clock.forward(400_000);
  expect(deferred()).toBe(1);
  ask(cluster, "big", "2");
  await cluster.settle();
  expect(resizing(cluster, "small")).toEqual([]);
  expect(inEffect(cluster, "small")).toEqual(["2", "2"]);
  expect(cluster.status("small").allocatedResources).toEqual({ cpu: "2", memory: "1Gi" });
  expect(cluster.events).toContain(`Normal ResizeStarted Pod resize started: ${summary}}`);
  expect(cluster.events).toContain(`Normal ResizeCompleted Pod resize completed: ${summary}}`);
  await cluster.manager.stop();
});

test("a deferred resize that is taken back is no longer reported", async () => {
  const cluster = new Cluster();
  cluster.create(asking("p", "1"));
  await cluster.settle();
  ask(cluster, "p", "5");
  await cluster.settle();
  expect(resizing(cluster, "p")).toMatchObject([{ type: "PodResizePending" }]);
  ask(cluster, "p", "1000m");
  await cluster.settle();
  expect(resizing(cluster, "p")).toEqual([]);
  await cluster.manager.stop();
});

// Upstream's doPodResizeAction: PodResizeInProgress with the reason Error, and the event ResizeError.
test("a resize that the runtime refuses is reported and tried again", async () => {
  const cluster = new Cluster();
  cluster.create(asking("p", "1"));
  await cluster.settle();
  const { pods } = cluster.runtime;
  const resizeContainer = pods.resizeContainer.bind(pods);
  pods.resizeContainer = () => Promise.reject(new Error("cgroup is busy"));
  ask(cluster, "p", "2");
  await cluster.settle();
  expect(resizing(cluster, "p")).toEqual([
    { type: "PodResizeInProgress", reason: "Error", message: "cgroup is busy", observedGeneration: 2 },
  ]);
  expect(inEffect(cluster, "p")).toEqual(["2", "1"]);
  pods.resizeContainer = resizeContainer;
  await cluster.clock.forward(20_000);
  expect(resizing(cluster, "p")).toEqual([]);
  expect(inEffect(cluster, "p")).toEqual(["2", "2"]);
  expect(cluster.events.filter((event) => event.includes("ResizeError"))).toHaveLength(1);
  await cluster.manager.stop();
});

test("a restarted agent keeps to what was granted, also while the API asks for more", async () => {
  const folder = await mkdtemp(join(tmpdir(), "skiff-allocation-"));
  const volumes = () => ({
    ...noVolumes(),
    podFolder: (uid: string) => join(folder, uid),
    list: () => readdir(folder),
  });
  const cluster = new Cluster({ volumes });
  cluster.create(asking("big", "3"));
  const small = cluster.create(asking("small", "1"));
  await cluster.settle();
  ask(cluster, "small", "2");
  await cluster.settle();
  const stored = JSON.parse(await readFile(join(folder, small.metadata.uid!, "allocation.json"), "utf8"));
  expect(stored).toEqual({ containers: { main: { requests: { cpu: "1", memory: "1Gi" } } } });
  await cluster.restart();
  await cluster.clock.forward(10_000);
  expect(resizing(cluster, "small")).toMatchObject([{ type: "PodResizePending", reason: "Deferred" }]);
  expect(inEffect(cluster, "small")).toEqual(["1", "1"]);
  expect(cluster.events.filter((event) => event.includes("ResizeDeferred"))).toHaveLength(1);
  await cluster.manager.stop();
  await rm(folder, { recursive: true });
});

// Upstream's getPodsToPreempt: classes without guarantees first, and the fewest pods.
test("a critical pod ends those others whose requests are nearest to what is missing", () => {
  const capacity = capacityOf({ cpu: "4", memory: "100Gi" });
  const critical = asking("critical", "2", { priority: 2_000_000_000 });
  const guaranteed = asking("guaranteed", "2");
  guaranteed.spec!.containers[0]!.resources!.limits = { cpu: "2", memory: "1Gi" };
  const others = [guaranteed, asking("small", "500m"), asking("near", "1"), makePod("loose")];
  const names = (pods: Pod[] | undefined) => pods?.map(({ metadata }) => metadata.name);
  // 1.5 cpus are missing: both burstable pods are just enough.
  expect(names(victimsFor(critical, others, shortagesOf(critical, others, capacity)))).toEqual(["near", "small"]);
  const fewer = others.slice(1);
  expect(names(victimsFor(critical, fewer, shortagesOf(critical, fewer, capacity)))).toEqual([]);
  const vital = [asking("vital", "3", { priority: 2_000_000_000 })];
  expect(victimsFor(critical, vital, shortagesOf(critical, vital, capacity))).toBeUndefined();
});

// Upstream's CriticalPodAdmissionHandler.
test("a critical pod that does not fit is admitted once others have ended for it", async () => {
  const cluster = new Cluster();
  cluster.create(asking("app", "3"));
  await cluster.settle();
  cluster.create(asking("critical", "2", { priority: 2_000_000_000 }));
  await cluster.clock.forward(40_000);
  expect(cluster.status("app")).toMatchObject({
    ...{ phase: "Failed", reason: "Preempting", message: "Preempted in order to admit critical pod" },
  });
  expect(cluster.status("app").conditions).toContainEqual(
    expect.objectContaining({
      type: "DisruptionTarget",
      message: "Pod was preempted by Kubelet to accommodate a critical pod.",
    }),
  );
  expect(cluster.events).toContain("Warning Preempting Preempted in order to admit critical pod");
  expect(cluster.status("critical").phase).toBe("Running");
  cluster.create(asking("another", "3", { priority: 2_000_000_000 }));
  await cluster.settle();
  expect(cluster.status("another")).toMatchObject({
    reason: "UnexpectedAdmissionError",
    message: expect.stringContaining("no set of running pods found to reclaim resources: [(res: cpu, q: 1000), ]"),
  });
  await cluster.manager.stop();
});
