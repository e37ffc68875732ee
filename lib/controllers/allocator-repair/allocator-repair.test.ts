import { afterEach, expect, test } from "vitest";
import { events, ipAddresses, namespaces, nodePortAllocations, serviceCidrs, services } from "#api";
import { silentLog, systemRandom } from "#base";
import type { Client } from "#client";
import { openCluster, type TestCluster } from "#test/cluster";
import { handClock, make, type Part } from "#test/make";
import { allocatorRepairController } from "./index.ts";

let cluster: TestCluster;
afterEach(() => cluster.close());

const path = "/api/v1/namespaces/default/services";
type Service = ReturnType<typeof make.service>;
const create = (part: Part<Service> = {}) => cluster.ask("POST", path, make.service(part as never));
const patch = (body: object) =>
  cluster.ask("PATCH", `${path}/web`, body, { "content-type": "application/merge-patch+json" });
/** Those of the services that every cluster has: kubernetes and kube-dns. */
const always = ["10.96.0.1", "10.96.0.10"];
const takenAddresses = async () =>
  (await cluster.client.list(ipAddresses)).items
    .map(({ metadata }) => metadata.name ?? "")
    .filter((ip) => !always.includes(ip));
const takenPorts = async () =>
  (await cluster.client.list(nodePortAllocations)).items.map(({ metadata }) => Number(metadata.name));

test("allocates an address once: a given one, a random one, and none outside the range", async () => {
  cluster = await openCluster();
  const first = await create({ spec: { clusterIP: "10.96.0.77" } });
  expect(first.json.spec).toMatchObject({
    clusterIP: "10.96.0.77",
    clusterIPs: ["10.96.0.77"],
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
  });
  const again = await create({ metadata: { name: "other" }, spec: { clusterIP: "10.96.0.77" } });
  expect(again.json).toMatchObject({
    code: 422,
    message:
      'Service "other" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.77"]: failed to allocate IP 10.96.0.77: provided IP is already allocated',
  });
  const outside = await create({ metadata: { name: "other" }, spec: { clusterIP: "10.97.0.1" } });
  expect(outside.json).toMatchObject({ code: 422, message: expect.stringContaining("is not in the valid range") });
  expect(await takenAddresses()).toEqual(["10.96.0.77"]);
});

test("gives an address to one of two concurrent services, and releases the port of the other", async () => {
  cluster = await openCluster();
  const spec = { type: "NodePort", clusterIP: "10.96.0.78" };
  const answers = await Promise.all(["a", "b", "c"].map((name) => create({ metadata: { name }, spec })));
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 422, 422]);
  expect(await takenAddresses()).toEqual(["10.96.0.78"]);
  expect(await takenPorts()).toHaveLength(1);
});

test("releases the addresses and ports of a deleted service at once, so that the next service of its name can use them", async () => {
  cluster = await openCluster();
  for (let round = 0; round < 5; round++) {
    const made = await create({
      spec: { type: "NodePort", clusterIP: "10.96.0.79", ports: [{ port: 80, nodePort: 30_079 }] },
    });
    expect(made.status).toBe(201);
    expect((await cluster.ask("DELETE", `${path}/web`)).status).toBe(200);
  }
  const spec = { type: "NodePort", clusterIP: "10.96.0.79", ports: [{ port: 80, nodePort: 30_079 }] };
  expect((await create({ spec })).status).toBe(201);
  await cluster.quiet();
  expect([await takenAddresses(), await takenPorts()]).toEqual([["10.96.0.79"], [30_079]]);
});

test("allocates and releases addresses and ports when a service changes its type", async () => {
  cluster = await openCluster();
  const made = (await create()).json;
  const up = await patch({ spec: { type: "NodePort" } });
  const { nodePort } = up.json.spec.ports[0];
  expect(up.json.spec).toMatchObject({ clusterIP: made.spec.clusterIP, externalTrafficPolicy: "Cluster" });
  const moved = await patch({ spec: { ports: [{ port: 81 }] } });
  expect(moved.json.spec.ports).toMatchObject([{ port: 81, nodePort }]);
  const down = await patch({ spec: { type: "ClusterIP" } });
  expect(down.json.spec.ports[0].nodePort).toBeUndefined();
  expect(await takenPorts()).toEqual([]);
  const name = await patch({ spec: { type: "ExternalName", externalName: "example.com" } });
  expect(name.status).toBe(200);
  for (const field of ["clusterIP", "clusterIPs", "ipFamilies"]) expect(name.json.spec[field]).toBeUndefined();
  expect(await takenAddresses()).toEqual([]);
  const back = await patch({ spec: { type: "ClusterIP", externalName: null } });
  expect(await takenAddresses()).toEqual([back.json.spec.clusterIP]);
});

test("allocates a node port once and only from its range; two protocols may share it", async () => {
  cluster = await openCluster();
  const one = { port: 53, nodePort: 30_053 };
  const both = [
    { ...one, name: "u", protocol: "UDP" },
    { ...one, name: "t", protocol: "TCP" },
  ];
  expect((await create({ spec: { type: "NodePort", ports: both } })).status).toBe(201);
  const again = await create({ metadata: { name: "other" }, spec: { type: "NodePort", ports: [one] } });
  expect(again.json.message).toBe(
    'Service "other" is invalid: spec.ports[0].nodePort: Invalid value: 30053: provided port is already allocated',
  );
  const low = await create({
    metadata: { name: "other" },
    spec: { type: "NodePort", ports: [{ port: 1, nodePort: 80 }] },
  });
  expect(low.json.message).toContain("The range of valid ports is 30000-32767");
  expect(await takenAddresses()).toHaveLength(1);
});

test("allocates a health check port for local traffic, and no node ports where they are disabled", async () => {
  cluster = await openCluster();
  const made = await create({
    spec: { type: "LoadBalancer", externalTrafficPolicy: "Local", allocateLoadBalancerNodePorts: false },
  });
  const { healthCheckNodePort, ports: list } = made.json.spec;
  expect(list[0].nodePort).toBeUndefined();
  expect(await takenPorts()).toEqual([healthCheckNodePort]);
  await patch({ spec: { externalTrafficPolicy: "Cluster" } });
  expect(await takenPorts()).toEqual([]);
});

test("allocates nothing for a headless service or a dry run", async () => {
  cluster = await openCluster();
  expect((await create({ spec: { clusterIP: "None" } })).json.spec).toMatchObject({ clusterIPs: ["None"] });
  const dry = await cluster.ask("POST", `${path}?dryRun=All`, make.service({ metadata: { name: "dry" } }));
  expect(dry.json.spec.clusterIP).toMatch(/^10\.96\./);
  expect(await takenAddresses()).toEqual([]);
});

test("releases an unused allocation after a minute, not before", async () => {
  const clock = handClock(Date.parse("2030-01-01T00:00:00Z"));
  cluster = await openCluster({ clock });
  const { client } = cluster;
  const parentRef = { group: "", resource: "services", namespace: "default", name: "lost" };
  await client.create(ipAddresses, { metadata: { name: "10.96.0.80" }, spec: { parentRef } });
  await client.create(nodePortAllocations, {
    metadata: { name: "30080" },
    spec: { namespace: "default", name: "lost" },
  });
  await cluster.quiet();
  clock.move(59_000);
  await cluster.quiet();
  expect([await takenAddresses(), await takenPorts()]).toEqual([["10.96.0.80"], [30_080]]);
  clock.move(1000);
  await cluster.until(async () => (await takenAddresses()).length === 0 && (await takenPorts()).length === 0);
});

test("releases the allocations of a service when its last finalizer is removed", async () => {
  const clock = handClock(Date.parse("2030-01-01T00:00:00Z"));
  cluster = await openCluster({ clock });
  await create({ metadata: { finalizers: ["example.com/wait"] }, spec: { type: "NodePort" } });
  await cluster.ask("DELETE", `${path}/web`);
  await cluster.quiet();
  expect(await takenAddresses()).toHaveLength(1);
  await patch({ metadata: { finalizers: null } });
  await cluster.quiet();
  clock.move(61_000);
  await cluster.until(async () => (await takenAddresses()).length === 0 && (await takenPorts()).length === 0);
});

test("allocates again what a service uses when its allocation is deleted", async () => {
  cluster = await openCluster();
  const { json } = await create({ spec: { type: "NodePort" } });
  const { clusterIP } = json.spec;
  const { nodePort } = json.spec.ports[0];
  await cluster.client.delete(ipAddresses, { name: clusterIP });
  await cluster.client.delete(nodePortAllocations, { name: String(nodePort) });
  await cluster.until(async () => (await takenAddresses()).length === 1 && (await takenPorts()).length === 1);
  expect([await takenAddresses(), await takenPorts()]).toEqual([[clusterIP], [nodePort]]);
});

// Repair.doRunOnce (pkg/registry/core/service/ipallocator/controller and portallocator/controller, v1.37.2).
test("warns of an address and a port that belong to another service, under the names of both repair controllers", async () => {
  cluster = await openCluster();
  const { json } = await create({ spec: { type: "NodePort" } });
  const { clusterIP } = json.spec;
  const { nodePort } = json.spec.ports[0];
  const { client } = cluster;
  await cluster.quiet();
  const parentRef = { group: "", resource: "services", namespace: "default", name: "other" };
  for (const kind of [ipAddresses, nodePortAllocations] as const)
    await client.delete(kind as never, { name: kind === ipAddresses ? clusterIP : String(nodePort) });
  await client.create(ipAddresses, { metadata: { name: clusterIP }, spec: { parentRef } });
  const spec = { namespace: "default", name: "other" };
  await client.create(nodePortAllocations, { metadata: { name: String(nodePort) }, spec });
  const warnings = async () => {
    const { items } = await client.list(events, { namespace: "default" });
    return items
      .filter(({ type, involvedObject }) => type === "Warning" && involvedObject.name === "web")
      .map(({ source, message }) => `${source?.component}: ${message}`)
      .sort();
  };
  await cluster.until(async () => (await warnings()).length === 2);
  expect(await warnings()).toEqual([
    `ipallocator-repair-controller: Cluster IP [IPv4]:${clusterIP} was assigned to multiple services; please recreate service`,
    `portallocator-repair-controller: Port ${nodePort} was assigned to multiple services; please recreate service`,
  ]);
});

test("allocates nothing for a service that is deleted while it is reconciled", async () => {
  cluster = await openCluster({ asleep: true });
  const { client } = cluster;
  await client.create(namespaces, { metadata: { name: "default" } });
  await client.create(serviceCidrs, { metadata: { name: "kubernetes" }, spec: { cidrs: ["10.96.0.0/16"] } });
  let deletions = 0;
  const racing: Client = {
    ...client,
    // The allocations are read before the service exists, and the service is deleted after it was read.
    list: async (kind, request) => {
      const found = await client.list(kind, request);
      if (kind.kind === nodePortAllocations.kind)
        expect((await create({ spec: { type: "NodePort" } })).status).toBe(201);
      return found;
    },
    get: async (kind, name) => {
      const found = await client.get(kind, name);
      if (kind.kind === services.kind && deletions++ === 0) await cluster.ask("DELETE", `${path}/web`);
      return found;
    },
  };
  const { clock, plane } = cluster;
  const signal = new AbortController().signal;
  const common = { served: plane.resources.registry, random: systemRandom, log: silentLog, record: () => {} };
  await allocatorRepairController.reconcile(
    { client: racing, clock, signal, ...common },
    { namespace: "default", name: "web" },
  );
  expect(deletions).toBeGreaterThan(0);
  expect([await takenAddresses(), await takenPorts()]).toEqual([[], []]);
});
