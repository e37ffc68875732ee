import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nodes, type Service, services } from "#api";
import { type FakeCloud, fakeCloud } from "#cloud/fake";
import { memoryStore } from "#store/memory";
import { openCluster, type TestCluster } from "#test/cluster";
import { handClock } from "#test/make";

const key = { namespace: "default", name: "web" };
const finalizer = "service.kubernetes.io/load-balancer-cleanup";
const start = Date.parse("2030-01-01T00:00:00Z");

let cluster: TestCluster;
let cloud: FakeCloud;
let clock: ReturnType<typeof handClock>;
let fail: ((method: string, when: string) => void) | undefined;

beforeEach(async () => {
  fail = undefined;
  clock = handClock(start);
  cloud = fakeCloud({ fail: ({ method, when }) => fail?.(method, when) });
  cluster = await openCluster({ cloud, clock });
  await addNode("one");
  await addNode("two");
});
afterEach(() => cluster.close());

const addNode = async (name: string, more: object = {}) => {
  cloud.addInstance(name);
  await cluster.addNode(name, more);
};
const web = (more: Partial<Service["spec"]> = {}, annotations: Record<string, string> = {}): Service =>
  ({
    metadata: { ...key, annotations },
    spec: { type: "LoadBalancer", selector: { app: "web" }, ports: [{ port: 80 }], ...more },
  }) as Service;
const create = (...input: Parameters<typeof web>) => cluster.client.create(services, web(...input));
const read = () => cluster.client.get(services, key).catch(() => undefined);
const patch = (spec: object) => cluster.client.patch(services, key, { spec }, { type: "merge" });
const hostname = async () => (await read())?.status?.loadBalancer?.ingress?.[0]?.hostname;
const only = () => [...cloud.balancers.values()][0];
const reasons = async (): Promise<string[]> =>
  (await cluster.ask("GET", "/api/v1/namespaces/default/events")).json.items.map(
    ({ reason }: { reason: string }) => reason,
  );
/** Moves the cloud's and the cluster's time until a condition holds. */
const soon = <T>(what: () => Promise<T | undefined | false>) =>
  cluster.until(async () => {
    cloud.settle();
    return what();
  }, 300);

describe("a service of type LoadBalancer", () => {
  test("gets a load balancer, and its host name once it is active", async () => {
    const made = await create();
    await cluster.until(async () => cloud.balancers.size === 1);
    await cluster.quiet();
    expect((await read())?.metadata.finalizers).toEqual([finalizer]);
    expect(await hostname()).toBeUndefined();
    expect(await soon(hostname)).toBe(`${made.metadata.uid}.balancers.test`);
    const nodePort = made.spec?.ports?.[0]?.nodePort;
    expect(only()).toMatchObject({
      service: { uid: made.metadata.uid, namespace: "default", name: "web" },
      ports: [{ protocol: "TCP", port: 80, nodePort }],
      nodes: ["one", "two"],
      sourceRanges: ["0.0.0.0/0"],
      affinity: false,
    });
    await cluster.until(async () => (await reasons()).includes("EnsuredLoadBalancer"));
    expect(await reasons()).toContain("EnsuringLoadBalancer");
  });

  test("updates its load balancer, and changes nothing without a cause", async () => {
    await create();
    await soon(hostname);
    await patch({ ports: [{ port: 443, name: "s" }], loadBalancerSourceRanges: ["192.0.2.0/24"] });
    await cluster.until(async () => only()?.ports[0]?.port === 443);
    expect(only()?.sourceRanges).toEqual(["192.0.2.0/24"]);
    await patch({ externalTrafficPolicy: "Local", sessionAffinity: "ClientIP" });
    const port = await cluster.until(async () => only()?.healthPort);
    expect([port, only()?.affinity]).toEqual([(await read())?.spec?.healthCheckNodePort, true]);
    await cluster.quiet();
    const asked = cloud.counts.get("ensureLoadBalancer");
    const label = { metadata: { labels: { a: "b" } } };
    await cluster.client.patch(services, key, label, { type: "merge" });
    await cluster.client.patch(nodes, { name: "one" }, label, { type: "merge" });
    await cluster.quiet();
    expect(cloud.counts.get("ensureLoadBalancer")).toBe(asked);
  });

  test("registers the nodes that are instances and accept traffic", async () => {
    await create();
    await soon(hostname);
    await addNode("three");
    await cluster.until(async () => only()?.nodes.length === 3);
    await cluster.addNode("fargate");
    const exclude = { "node.kubernetes.io/exclude-from-external-load-balancers": "" };
    await cluster.client.patch(nodes, { name: "two" }, { metadata: { labels: exclude } }, { type: "merge" });
    await cluster.until(async () => only()?.nodes.join() === "one,three");
    const taints = [{ key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" }];
    await cluster.client.patch(nodes, { name: "three" }, { spec: { taints } }, { type: "merge" });
    await cluster.until(async () => only()?.nodes.join() === "one");
    // As upstream: health checks decide which nodes are ready.
    const unready = { status: { conditions: [{ type: "Ready", status: "Unknown" }] } };
    await cluster.client.patch(nodes, { name: "one" }, unready, { type: "merge", subresource: "status" });
    await cluster.quiet();
    expect(only()?.nodes).toEqual(["one"]);
    await cluster.until(async () => (await reasons()).includes("UpdatedLoadBalancer"));
    await cluster.client.delete(nodes, { name: "one" });
    await cluster.until(async () => only()?.nodes.length === 0);
    await cluster.until(async () => (await reasons()).includes("UnAvailableLoadBalancer"));
  });

  test("registers a node when the cloud returns its instance late", async () => {
    await create();
    await soon(hostname);
    await cluster.addNode("late");
    await cluster.quiet();
    expect(only()?.nodes).toEqual(["one", "two"]);
    cloud.addInstance("late");
    await soon(async () => only()?.nodes.includes("late"));
  });

  test("is deleted after its load balancer, not before", async () => {
    await create();
    await soon(hostname);
    await cluster.client.delete(services, key);
    await cluster.until(async () => only()?.state === "going");
    await cluster.quiet();
    expect((await read())?.metadata.deletionTimestamp).toBeDefined();
    await soon(async () => (await read()) === undefined);
    expect(cloud.balancers.size).toBe(0);
    await cluster.until(async () => (await reasons()).includes("DeletedLoadBalancer"));
    expect(await reasons()).toContain("DeletingLoadBalancer");
  });

  test("loses its load balancer with its type, and gets one again", async () => {
    await create();
    const first = await soon(hostname);
    await patch({ type: "ClusterIP" });
    await soon(async () => cloud.balancers.size === 0 && (await read())?.metadata.finalizers === undefined);
    expect(await hostname()).toBeUndefined();
    await patch({ type: "LoadBalancer" });
    expect(await soon(hostname)).toBe(first);
  });
});

describe("services of others, and failures that are final", () => {
  test("ignores a service with a class", async () => {
    await create({ loadBalancerClass: "example.com/other" });
    await cluster.quiet();
    expect([cloud.balancers.size, (await read())?.metadata.finalizers]).toEqual([0, undefined]);
    await cluster.client.delete(services, key);
    expect(await read()).toBeUndefined();
  });

  test("without a cloud, leaves a service pending and lets it be deleted at once", async () => {
    await cluster.close();
    cluster = await openCluster();
    await create();
    await cluster.quiet();
    const service = await read();
    expect([service?.status?.loadBalancer, service?.metadata.finalizers]).toEqual([{}, undefined]);
    await cluster.client.delete(services, key);
    expect(await read()).toBeUndefined();
  });

  test("reports a refusal of the cloud, does not retry it, and tries again after a change", async () => {
    await create({ ports: [{ port: 80, protocol: "SCTP" }] } as never);
    await cluster.until(async () => (await reasons()).includes("SyncLoadBalancerFailed"));
    const { json } = await cluster.ask("GET", "/api/v1/namespaces/default/events");
    const event = json.items.find(({ reason }: { reason: string }) => reason === "SyncLoadBalancerFailed");
    expect(event.message).toBe(
      "Error syncing load balancer: failed to ensure load balancer: protocol SCTP is not supported",
    );
    await cluster.quiet();
    const asked = cloud.counts.get("ensureLoadBalancer");
    await cluster.pass(25_000);
    expect(cloud.counts.get("ensureLoadBalancer")).toBe(asked);
    await patch({ ports: [{ port: 80, protocol: "TCP" }] });
    expect(await soon(hostname)).toBeDefined();
  });
});

describe("failures", () => {
  test("reports a failure of the cloud and retries", async () => {
    let left = 3;
    fail = (method, when) => {
      if (method === "ensureLoadBalancer" && when === "after" && left-- > 0) throw new Error("out of luck");
    };
    await create();
    expect(await soon(hostname)).toBeDefined();
    await cluster.quiet();
    expect(await reasons()).toContain("SyncLoadBalancerFailed");
    expect(cloud.balancers.size).toBe(1);
  });

  const deaths = ["loadBalancers", "instances", "ensureLoadBalancer", "removeLoadBalancer"].flatMap((method) => [
    [method, "before"],
    [method, "after"],
  ]);
  test.each(deaths)("after a crash at %s, %s it is done, the next control plane continues", async (method, when) => {
    await cluster.close();
    const store = memoryStore();
    let is: "mortal" | "dead" | "alive" = "mortal";
    cloud = fakeCloud({
      fail: (call) => {
        if (is === "mortal" && call.method === method && call.when === when) is = "dead";
        if (is === "dead") throw new Error("dead");
      },
    });
    const isDead = async () => is === "dead";
    cluster = await openCluster({ store, cloud, clock });
    await addNode("one");
    await create();
    if (method === "removeLoadBalancer") {
      await cluster.until(async () => cloud.balancers.size === 1);
      await cluster.client.delete(services, key);
    }
    await cluster.until(isDead);
    await cluster.close();
    is = "alive";
    cluster = await openCluster({ store, cloud, clock });
    if (method === "removeLoadBalancer") await soon(async () => (await read()) === undefined);
    else expect(await soon(hostname)).toBeDefined();
    expect(cloud.balancers.size).toBe(method === "removeLoadBalancer" ? 0 : 1);
  });

  test("deletes the load balancer of a service whose finalizer was removed by hand", async () => {
    const { metadata } = await create();
    await soon(hostname);
    await cluster.client.patch(services, key, { metadata: { finalizers: [] } }, { type: "merge" });
    await cluster.client.delete(services, key);
    await soon(async () => cloud.balancers.size === 0);
    expect(metadata.uid).toBeDefined();
  });
});
