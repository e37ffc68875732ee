import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { fakeRuntime } from "#agent/runtime/fake";
import type { Lease, Node } from "#api";
import { clone, conflict, notFound, silentLog } from "#base";
import type { Client } from "#client";
import { handClock, turn } from "#test/make";
import { type HostFacts, hostFacts, type NodeOptions, nodeStatus, startNode, waitForPodCidr } from "./index.ts";

const facts: HostFacts = {
  machineId: "m",
  systemUuid: "s",
  bootId: "b",
  kernelVersion: "6.1",
  osImage: "Test",
  operatingSystem: "linux",
  architecture: "amd64",
  cpus: 4,
  memoryBytes: 8 * 2 ** 30,
  disk: { bytes: 100 * 2 ** 30 },
  ips: ["10.0.0.5"],
  appArmor: false,
};

const held = { reserved: [{ cpu: "500m" }], memoryBytes: 100 * 2 ** 20, storageBytes: 5 * 2 ** 30 };

const settle = async (): Promise<void> => {
  for (let turns = 0; turns < 20; turns++) await turn();
};
const openClock = () => handClock(Date.parse("2026-01-01T00:00:00Z"), settle);

/** A client with the calls of a node, over two maps. */
function objects() {
  const nodes = new Map<string, Node>();
  const leases = new Map<string, Lease>();
  const log: string[] = [];
  let serial = 0;
  let broken = false;
  const of = (kind: { kind: string }): Map<string, Node | Lease> => (kind.kind === "Node" ? nodes : leases);
  const put = (kind: { kind: string }, object: Node | Lease) => {
    const stored = clone(object);
    stored.metadata.resourceVersion = String(++serial);
    of(kind).set(object.metadata.name ?? "", stored);
    return stored;
  };
  const get = (kind: { kind: string }, name: string) => {
    if (broken) throw new Error("the server is away");
    const found = of(kind).get(name);
    if (!found) throw notFound({ group: "", resource: kind.kind }, name);
    return found;
  };
  const client = {
    get: async (kind: { kind: string }, { name }: { name: string }) => get(kind, name),
    create: async (kind: { kind: string }, object: Node) => {
      log.push(`create ${kind.kind}`);
      return put(kind, { ...object, metadata: { ...object.metadata, uid: `uid-${serial}` } });
    },
    update: async (kind: { kind: string }, object: Node, request?: { subresource?: string }) => {
      const stored = get(kind, object.metadata.name ?? "");
      if (stored.metadata.resourceVersion !== object.metadata.resourceVersion) {
        throw conflict({ group: "", resource: kind.kind }, object.metadata.name ?? "", "changed");
      }
      log.push(`update ${kind.kind}${request?.subresource ? `/${request.subresource}` : ""}`);
      return put(kind, object);
    },
    patch: async (kind: { kind: string }, { name }: { name: string }, patch: Node) => {
      log.push(`patch ${kind.kind}`);
      const stored = get(kind, name);
      const labels = { ...stored.metadata.labels, ...patch.metadata.labels };
      return put(kind, { ...stored, metadata: { ...stored.metadata, labels } });
    },
  } as unknown as Client;
  return {
    nodes,
    leases,
    log,
    client,
    put,
    breakDown: (is: boolean) => {
      broken = is;
    },
  };
}

function start(changes: Partial<NodeOptions> & { down?: () => boolean } = {}) {
  const clock = openClock();
  const api = objects();
  const fake = fakeRuntime({ clock });
  const info = async () => {
    if (changes.down?.()) throw new Error("no socket");
    return fake.info();
  };
  const runtime = { ...fake, info };
  const options = {
    name: "n1",
    client: api.client,
    runtime,
    clock,
    log: silentLog,
    folder: "/",
    version: "v1.36.0",
    held,
  };
  const agent = startNode({ ...options, podCidr: "10.244.3.0/24", facts: async () => facts, ...changes });
  return { ...api, agent, forward: clock.forward, settle, clock };
}

test("registers the node, reports it ready and renews its lease", async () => {
  const { agent, nodes, leases, log, forward } = start();
  await forward(0);
  await agent.ready;
  const node = nodes.get("n1")!;
  expect(node.spec?.podCIDRs).toEqual(["10.244.3.0/24"]);
  expect(node.metadata.labels).toMatchObject({ "kubernetes.io/hostname": "n1", "kubernetes.io/arch": "amd64" });
  expect(node.status!.conditions!.map(({ type, status, reason }) => [type, status, reason])).toEqual([
    ["MemoryPressure", "False", "KubeletHasSufficientMemory"],
    ["DiskPressure", "False", "KubeletHasNoDiskPressure"],
    ["PIDPressure", "False", "KubeletHasSufficientPID"],
    ["Ready", "True", "KubeletReady"],
  ]);
  expect(node.status).toMatchObject({
    capacity: { cpu: "4", memory: "8388608Ki", pods: "110" },
    allocatable: { memory: "8286208Ki", "ephemeral-storage": String(95 * 2 ** 30), cpu: "3500m" },
    addresses: [
      { type: "InternalIP", address: "10.0.0.5" },
      { type: "Hostname", address: "n1" },
    ],
    nodeInfo: { kubeletVersion: "v1.36.0", containerRuntimeVersion: "fake://1.0.0" },
    features: { supplementalGroupsPolicy: true },
    declaredFeatures: expect.arrayContaining(["RestartAllContainersOnContainerExits"]),
  });
  const lease = leases.get("n1")!;
  expect(lease.spec).toMatchObject({ holderIdentity: "n1", leaseDurationSeconds: 40 });
  expect(lease.metadata.ownerReferences).toMatchObject([{ kind: "Node", name: "n1", uid: node.metadata.uid }]);
  log.length = 0;
  await forward(100_000);
  // The lease is renewed every ten seconds; the status does not change.
  expect(log).toEqual(Array.from({ length: 10 }, () => "update Lease"));
  await forward(200_000);
  expect(log.filter((line) => line === "update Node/status").length).toBe(1);
  await agent.stop();
});

test("reports the state of the pods' network when the node manages it", async () => {
  let network = { ok: true, message: "bridge b is up" };
  const { agent, nodes, forward } = start({ networkState: async () => network });
  const networkCondition = () => nodes.get("n1")!.status!.conditions!.find(({ type }) => type === "NetworkUnavailable");
  await forward(0);
  await agent.ready;
  expect(networkCondition()).toMatchObject({ status: "False", reason: "BridgeIsUp", message: "bridge b is up" });
  network = { ok: false, message: "bridge b is not usable" };
  await forward(10_000);
  expect(networkCondition()).toMatchObject({
    status: "True",
    reason: "BridgeIsDown",
    message: "bridge b is not usable",
  });
  await agent.stop();
});

// The node lifecycle controller writes Unknown after 40 s without a lease; the kubelet compares with the API's node.
test.each(["is paused", "is cut off"])(
  "writes an unchanged status again after the agent %s for so long that it is taken for lost",
  async (how) => {
    const { agent, nodes, put, breakDown, clock, forward } = start();
    await forward(0);
    await agent.ready;
    await forward(20_000);
    if (how === "is paused") clock.move(45_000);
    else {
      breakDown(true);
      await forward(45_000);
      breakDown(false);
    }
    const lost = clone(nodes.get("n1")!);
    for (const condition of lost.status!.conditions!) condition.status = "Unknown";
    put({ kind: "Node" }, lost);
    await forward(20_000);
    expect(nodes.get("n1")?.status?.conditions?.find(({ type }) => type === "Ready")?.status).toBe("True");
    await agent.stop();
  },
);

test("renews the lease only while no link reports that the node is alive", async () => {
  let alive = true;
  const { agent, leases, log, forward } = start({ alive: () => alive });
  await forward(60_000);
  expect(log.filter((line) => line.includes("Lease"))).toEqual([]);
  alive = false;
  await forward(20_000);
  expect(leases.get("n1")?.spec?.renewTime).toBeDefined();
  alive = true;
  log.length = 0;
  await forward(60_000);
  expect(log).toEqual([]);
  await agent.stop();
});

test("a node without a range of pod addresses registers and waits for one", async () => {
  const clock = openClock();
  const { client, nodes, put } = objects();
  const stop = new AbortController();
  const options = { name: "n1", client, clock, log: silentLog, folder: tmpdir(), labels: { zone: "a" } };
  let range: string | undefined = "none";
  const waiting = waitForPodCidr({ ...options, signal: stop.signal }).then((given) => {
    range = given;
  });
  await expect.poll(() => nodes.get("n1")?.metadata.labels?.["zone"]).toBe("a");
  expect(nodes.get("n1")?.spec).toBeUndefined();
  await clock.forward(20_000);
  expect(range).toBe("none");
  put({ kind: "Node" }, { ...nodes.get("n1")!, spec: { podCIDR: "10.244.7.0/24" } });
  await expect
    .poll(async () => {
      await clock.forward(1000);
      return range;
    })
    .toBe("10.244.7.0/24");
  await waiting;
  const never = waitForPodCidr({ ...options, name: "n2", signal: stop.signal });
  await settle();
  stop.abort();
  expect(await never).toBeUndefined();
});

test("reports another range of pod addresses than the present one", async () => {
  let other: string | undefined;
  const changed = (podCidr: string) => {
    other = podCidr;
  };
  const range = { podCidr: "10.244.3.0/24", changed };
  const { agent, nodes, put, forward } = start({ range });
  await forward(1000);
  put({ kind: "Node" }, { ...nodes.get("n1")!, spec: { podCIDR: "10.244.3.0/24" } });
  await forward(300_000);
  expect(other).toBeUndefined();
  put({ kind: "Node" }, { ...nodes.get("n1")!, spec: { podCIDR: "10.244.9.0/24" } });
  await forward(310_000);
  expect(other).toBe("10.244.9.0/24");
  await agent.stop();
});

test("updates changed conditions with their times and leaves those of others", async () => {
  const pressures = new Set<string>();
  const { agent, nodes, put, forward, log } = start({ pressures: () => pressures });
  await forward(1000);
  const node = nodes.get("n1")!;
  const foreign = { type: "NetworkUnavailable", status: "False", reason: "RouteCreated" };
  put({ kind: "Node" }, {
    ...node,
    status: { ...node.status, conditions: [...node.status!.conditions!, foreign] },
  } as Node);
  log.length = 0;
  pressures.add("DiskPressure");
  await forward(20_000);
  const conditions = nodes.get("n1")!.status!.conditions!;
  expect(conditions.find(({ type }) => type === "DiskPressure")).toMatchObject({
    status: "True",
    reason: "KubeletHasDiskPressure",
    lastTransitionTime: "2026-01-01T00:00:10Z",
  });
  expect(conditions.find(({ type }) => type === "Ready")?.lastTransitionTime).toBe("2026-01-01T00:00:00Z");
  expect(conditions).toContainEqual(foreign);
  expect(log.filter((line) => line === "update Node/status").length).toBe(1);
  await agent.stop();
});

test("registers a deleted node again, and waits while the API is unavailable", async () => {
  const { agent, nodes, breakDown, forward } = start();
  await forward(1000);
  nodes.delete("n1");
  breakDown(true);
  await forward(400_000);
  expect(nodes.has("n1")).toBe(false);
  breakDown(false);
  await forward(300_000);
  expect(nodes.get("n1")?.status?.conditions?.length).toBe(4);
  await agent.stop();
});

test("tolerates a runtime that is briefly unavailable and reports one that stays so", async () => {
  let down = false;
  const { agent, nodes, forward } = start({ down: () => down });
  const isReady = () => nodes.get("n1")!.status!.conditions!.find(({ type }) => type === "Ready")!.status;
  await forward(11_000);
  down = true;
  await forward(20_000);
  expect(isReady()).toBe("True");
  await forward(20_000);
  expect(isReady()).toBe("False");
  down = false;
  await forward(10_000);
  expect(isReady()).toBe("True");
  await agent.stop();
});

test("a runtime that is down or without a network makes the node not ready, with the reason", () => {
  const input = {
    held,
    shutsDown: false,
    name: "n1",
    facts,
    images: [],
    pods: 1,
    version: "v",
    port: 1,
  };
  const ready = (status: ReturnType<typeof nodeStatus>) => status.conditions!.find(({ type }) => type === "Ready");
  expect(
    ready(nodeStatus({ ...input, info: undefined, pressures: new Set<string>(), runtimeError: "no socket" })),
  ).toMatchObject({
    status: "False",
    reason: "KubeletNotReady",
    message: "container runtime is down: no socket",
  });
  const condition = {
    type: "NetworkReady" as const,
    status: false,
    reason: "NetworkPluginNotReady",
    message: "no CNI",
  };
  const features = {
    ...{ incremental: true, images: true, podNetwork: true, exec: true },
    ...{ userNamespaces: false, recursiveReadOnlyMounts: false, strictGroups: false },
  };
  const info = { name: "x", version: "1", conditions: [condition], cgroupDriver: "none" as const, features };
  expect(ready(nodeStatus({ ...input, info, pressures: new Set<string>(), runtimeError: "" }))?.message).toBe(
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:no CNI",
  );
});

test("reads the facts of this machine", async () => {
  const here = await hostFacts(tmpdir());
  expect(here.cpus).toBeGreaterThan(0);
  expect(here.memoryBytes).toBeGreaterThan(0);
  expect(here.ips.length).toBeGreaterThan(0);
});

// Upstream's ReadyCondition with nodeShutdownManagerErrorsFunc, and SyncNodeStatusFunc of the shutdown manager.
test("a node that shuts down is not ready, as soon as the shutdown begins", async () => {
  let shutsDown = false;
  let check = (): void => {};
  const hurry = (given: () => void) => {
    check = given;
  };
  const { agent, nodes, forward, settle: settled } = start({ shutsDown: () => shutsDown, hurry });
  await forward(0);
  await agent.ready;
  shutsDown = true;
  check();
  await settled();
  const ready = () => nodes.get("n1")!.status!.conditions!.find(({ type }) => type === "Ready");
  expect(ready()).toMatchObject({ status: "False", reason: "KubeletNotReady", message: "node is shutting down" });
  shutsDown = false;
  check();
  await settled();
  expect(ready()?.status).toBe("True");
  await agent.stop();
});
