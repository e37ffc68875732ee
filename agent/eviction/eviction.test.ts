import { beforeEach, expect, test } from "vitest";
import type { PodDisk, PodSample, Sample } from "#agent/stats";
import type { Pod } from "#api";
import { silentLog } from "#base";
import { type HandClock, handClock } from "#test/make";
import { type Eviction, EvictionManager } from "./manager.ts";
import { excess, pressureRejection, rank } from "./pods.ts";
import { met, type Observations, parseSoftThresholds, parseThresholds, type Threshold } from "./thresholds.ts";

const Mi = 2 ** 20;

interface PodFacts {
  name: string;
  priority?: number;
  request?: string;
  limit?: string;
  /** Bytes in memory and on the disk. */
  memory?: number;
  disk?: number;
  more?: object;
}

const podOf = ({ name, priority, request, limit, more = {} }: PodFacts): Pod =>
  ({
    metadata: { name, namespace: "default", uid: name, ...(more as { metadata?: object }).metadata },
    spec: {
      ...(priority === undefined ? {} : { priority }),
      terminationGracePeriodSeconds: 20,
      containers: [
        {
          name: "main",
          image: "i",
          resources: {
            ...(request ? { requests: { memory: request, "ephemeral-storage": request } } : {}),
            ...(limit ? { limits: { "ephemeral-storage": limit } } : {}),
          },
        },
      ],
      ...(more as { spec?: object }).spec,
    },
  }) as unknown as Pod;

function sampleOf({ name, memory = 0 }: PodFacts): PodSample {
  const usage = { memory: { workingSet: memory }, cpu: {}, threads: 1 };
  const measured = { at: 0, usage } as unknown as PodSample["whole"];
  const main = { ...measured, id: name, name: "main", image: "", cgroup: "", startedAt: 0 };
  return {
    sandbox: { id: name, namespace: "default", name, uid: name, createdAt: 0 },
    cgroup: "",
    whole: measured,
    containers: [main],
  };
}

const diskOf = ({ disk = 0 }: PodFacts): PodDisk => ({
  total: { bytes: disk, inodes: disk },
  containers: [{ name: "main", layer: { bytes: disk, inodes: disk }, logs: { bytes: 0, inodes: 0 } }],
  volumes: [],
});

// The words and limits of kubelet v1.37.2 (pkg/kubelet/eviction/helpers.go, parseThresholdStatement).
test("thresholds have the forms of the kubelet's options", () => {
  expect(parseThresholds("memory.available<100Mi,nodefs.available<10%")).toEqual([
    { signal: "memory.available", value: { amount: 100 * Mi } },
    { signal: "nodefs.available", value: { share: 0.1 } },
  ]);
  expect(parseThresholds("")).toEqual([]);
  for (const [text, why] of [
    ["memory.available", "is not of the form"],
    ["cpu.available<1", 'unknown signal "cpu.available"'],
    ["memory.available<x", "is neither a quantity nor a percentage"],
    ["memory.available<0", "is not positive"],
    ["memory.available<101%", "is not between 0% and 100%"],
    ["memory.available<1,memory.available<2", "is given twice"],
  ] as const)
    expect(() => parseThresholds(text)).toThrow(why);
  expect(parseSoftThresholds("memory.available<1Gi", "memory.available=1m30s")[0]?.graceMilliseconds).toBe(90_000);
  expect(() => parseSoftThresholds("memory.available<1Gi", "")).toThrow("has no grace period");
});

test("0 % and 100 % are no thresholds", () => {
  const observed = { "nodefs.available": { available: 0, capacity: 100 } };
  expect(met(parseThresholds("nodefs.available<0%"), observed)).toEqual([]);
  expect(met(parseThresholds("nodefs.available<100%"), observed)).toEqual([]);
  expect(met(parseThresholds("nodefs.available<1%"), observed)).toHaveLength(1);
});

const order = (facts: PodFacts[], signal: Threshold["signal"], unmeasured: string[] = []): string[] => {
  const byName = new Map(facts.map((one) => [one.name, one]));
  const ranked = rank(facts.map(podOf), signal, ({ metadata }) => {
    const own = byName.get(metadata.name ?? "")!;
    return unmeasured.includes(own.name) ? {} : { sample: sampleOf(own), disk: diskOf(own) };
  });
  return ranked.map(({ metadata }) => metadata.name ?? "");
};

// The cases are those of upstream's TestOrderedByExceedsRequestMemory, TestOrderedByPriorityMemory and TestOrderedbyPriorityDisk.
test("pods that use more than they request go first, then the less important, then the larger", () => {
  const facts: PodFacts[] = [
    { name: "within", request: "300Mi", memory: 100 * Mi, disk: 100 * Mi },
    { name: "important", priority: 100, memory: 900 * Mi, disk: 900 * Mi },
    { name: "large", request: "100Mi", memory: 500 * Mi, disk: 500 * Mi },
    { name: "small", memory: 200 * Mi, disk: 200 * Mi },
  ];
  const expected = ["large", "small", "important", "within"];
  expect(order(facts, "memory.available")).toEqual(expected);
  expect(order(facts, "nodefs.available")).toEqual(expected);
  expect(order(facts, "memory.available", ["within"])).toEqual(["within", "large", "small", "important"]);
  expect(order(facts, "pid.available").at(-1)).toBe("important");
});

// Messages of localStorageEviction in kubelet v1.37.2.
test("a pod exceeds the size of an emptyDir, or the limits of its containers", () => {
  const volume = (used: number) => ({
    ...diskOf({ name: "a" }),
    volumes: [{ name: "v", path: "", usage: { bytes: used, inodes: 1 } }],
  });
  const sized = podOf({ name: "a", more: { spec: { volumes: [{ name: "v", emptyDir: { sizeLimit: "10Mi" } }] } } });
  expect(excess(sized, volume(10 * Mi))).toBeUndefined();
  expect(excess(sized, volume(10 * Mi + 1))).toBe('Usage of EmptyDir volume "v" exceeds the limit "10Mi". ');
  const inMemory = podOf({
    name: "a",
    more: { spec: { volumes: [{ name: "v", emptyDir: { sizeLimit: "1Mi", medium: "Memory" } }] } },
  });
  expect(excess(inMemory, volume(10 * Mi))).toBeUndefined();
  const limited = podOf({ name: "a", limit: "20Mi" });
  expect(excess(limited, diskOf({ name: "a", disk: 20 * Mi }))).toBeUndefined();
  expect(excess(limited, diskOf({ name: "a", disk: 21 * Mi }))).toBe(
    "Pod ephemeral local storage usage exceeds the total limit of containers 20Mi. ",
  );
  const sidecar = {
    name: "side",
    image: "i",
    restartPolicy: "Always",
    resources: { limits: { "ephemeral-storage": "50Mi" } },
  };
  const two = podOf({
    name: "a",
    limit: "20Mi",
    more: { spec: { initContainers: [sidecar], containers: limited.spec!.containers } },
  });
  expect(excess(two, diskOf({ name: "a", disk: 21 * Mi }))).toBe(
    'Container main exceeded its local ephemeral storage limit "20Mi". ',
  );
});

// managerImpl.Admit of kubelet v1.37.2.
test("a node under pressure rejects new pods, with upstream's exceptions", () => {
  const plain = podOf({ name: "a" });
  const burstable = podOf({ name: "b", request: "1Mi" });
  const critical = podOf({ name: "c", priority: 2_000_000_000 });
  const mirror = podOf({ name: "d", more: { metadata: { annotations: { "kubernetes.io/config.mirror": "x" } } } });
  const tolerant = podOf({
    name: "e",
    more: {
      spec: { containers: [], tolerations: [{ key: "node.kubernetes.io/memory-pressure", operator: "Exists" }] },
    },
  });
  expect(pressureRejection(plain, new Set())).toBeUndefined();
  const short = new Set(["MemoryPressure"] as const);
  expect(pressureRejection(plain, short)).toEqual({
    reason: "Evicted",
    message: "The node had condition: [MemoryPressure]. ",
  });
  for (const pod of [burstable, critical, mirror, tolerant]) expect(pressureRejection(pod, short)).toBeUndefined();
  const both = new Set(["MemoryPressure", "DiskPressure"] as const);
  for (const pod of [burstable, tolerant])
    expect(pressureRejection(pod, both)?.message).toContain("[MemoryPressure DiskPressure]");
  expect(pressureRejection(critical, both)).toBeUndefined();
});

let clock: HandClock;
let observed: Observations;
let facts: PodFacts[];
let log: string[];
let freed: Observations | undefined;
beforeEach(() => {
  clock = handClock(1_000_000);
  observed = { "memory.available": { available: 500 * Mi, capacity: 1000 * Mi } };
  facts = [
    { name: "small", memory: 10 * Mi, disk: Mi },
    { name: "large", memory: 100 * Mi, disk: 2 * Mi },
  ];
  log = [];
  freed = undefined;
});

function managerOf(hard: string, soft: Threshold[] = []): EvictionManager {
  const sample = async (): Promise<Sample> => ({ node: {} as Sample["node"], pods: facts.map(sampleOf) });
  return new EvictionManager({
    ...{ clock, log: silentLog, sample, longestGraceSeconds: 5, transitionMilliseconds: 300_000 },
    thresholds: [...parseThresholds(hard), ...soft],
    observe: async () => observed,
    disks: async () => new Map(facts.map((one) => [one.name, diskOf(one)])),
    pods: () => facts.map(podOf),
    evict: async ({ metadata: { name } }, { message, graceSeconds, isDisruption }: Eviction) => {
      log.push(`evict ${name} in ${graceSeconds} s${isDisruption ? " as disruption" : ""}: ${message}`);
      facts = facts.filter((one) => one.name !== name);
    },
    reclaimDisk: async () => {
      log.push("reclaim");
      observed = freed ?? observed;
    },
    record: (reason, message) => void log.push(`${reason}: ${message}`),
  });
}

test("evicts one pod at a time while memory is short, and reports the pressure for five minutes more", async () => {
  const manager = managerOf("memory.available<100Mi");
  expect(await manager.round()).toBe(false);
  expect([...manager.pressures]).toEqual([]);
  observed = { "memory.available": { available: 50 * Mi, capacity: 1000 * Mi } };
  expect(await manager.round()).toBe(true);
  expect(log).toEqual([
    "EvictionThresholdMet: Attempting to reclaim memory",
    "evict large in 1 s as disruption: The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. " +
      "Container main was using 100Mi, request is 0, has larger consumption of memory. ",
  ]);
  expect(await manager.round()).toBe(true);
  expect(await manager.round()).toBe(false);
  expect(facts).toEqual([]);
  observed = {};
  await clock.forward(299_000);
  await manager.round();
  expect([...manager.pressures]).toEqual(["MemoryPressure"]);
  await clock.forward(1000);
  expect([...manager.pressures]).toEqual([]);
});

test("a soft threshold waits for its grace period, and gives pods the shorter of both graces", async () => {
  const manager = managerOf("", parseSoftThresholds("memory.available<1Gi", "memory.available=30s"));
  expect(await manager.round()).toBe(false);
  expect([...manager.pressures]).toEqual(["MemoryPressure"]);
  await clock.forward(29_000);
  expect(await manager.round()).toBe(false);
  await clock.forward(1000);
  expect(await manager.round()).toBe(true);
  expect(log.at(-1)).toMatch(/^evict large in 5 s/);
  // Once there was enough, the period starts again.
  observed = { "memory.available": { available: 2000 * Mi, capacity: 3000 * Mi } };
  expect(await manager.round()).toBe(false);
  observed = { "memory.available": { available: Mi, capacity: 3000 * Mi } };
  expect(await manager.round()).toBe(false);
});

test("a full disk is freed of images first", async () => {
  const manager = managerOf("nodefs.available<10%,memory.available<1Mi");
  observed = { "nodefs.available": { available: 5, capacity: 100 } };
  freed = { "nodefs.available": { available: 50, capacity: 100 } };
  expect(await manager.round()).toBe(false);
  expect(log).toEqual(["EvictionThresholdMet: Attempting to reclaim ephemeral-storage", "reclaim"]);
  observed = { "nodefs.available": { available: 5, capacity: 100 } };
  freed = observed;
  expect(await manager.round()).toBe(true);
  expect(log.at(-1)).toContain("evict large in 1 s as disruption: The node was low on resource: ephemeral-storage. ");
  expect([...manager.pressures]).toEqual(["DiskPressure"]);
});

test("critical pods stay, whatever is short", async () => {
  facts = [{ name: "critical", priority: 2_000_001_000, memory: 1 }];
  const manager = managerOf("memory.available<1Gi");
  expect(await manager.round()).toBe(false);
});

test("a pod above its own limit goes, and is no disruption", async () => {
  facts[0]!.limit = "512Ki";
  const manager = managerOf("");
  expect(await manager.round()).toBe(true);
  expect(log).toEqual([
    "evict small in 1 s: Pod ephemeral local storage usage exceeds the total limit of containers 512Ki. ",
  ]);
});
