import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { events, nodes } from "#api";
import { type FakeCloud, fakeCloud } from "#cloud/fake";
import { RetryAfter } from "#reconcile";
import { memoryStore } from "#store/memory";
import { openCluster, type TestCluster } from "#test/cluster";
import { handClock } from "#test/make";

const podCidr = "10.244.0.0/16";
const start = Date.parse("2030-01-01T00:00:00Z");
let cluster: TestCluster;
let cloud: FakeCloud;
let clock: ReturnType<typeof handClock>;
let fail: ((method: string, when: string) => void) | undefined;

beforeEach(async () => {
  fail = undefined;
  clock = handClock(start);
  cloud = fakeCloud({ fail: ({ method, when }) => fail?.(method, when) });
  cluster = await openCluster({ cloud, clock, podCidr });
});
afterEach(() => cluster.close());

const add = async (name: string) => {
  cloud.addInstance(name);
  await cluster.addNode(name);
};
const read = (name: string) => cluster.client.get(nodes, { name });
const network = async (name: string) =>
  (await read(name)).status?.conditions?.find(({ type }) => type === "NetworkUnavailable");
const isReached = (name: string) => async () => (await network(name))?.status === "False";
const routes = async () => Object.fromEntries(((await cloud.routes()) ?? []).map(({ block, node }) => [block, node]));
/** All routes are reconciled now and then, and the cloud is read again after a pause. */
const soon = <T>(what: () => Promise<T | undefined | false>) => cluster.until(what, 300);

describe("routes to pods", () => {
  test("creates a route for each instance, and reports it in the node's condition", async () => {
    await add("one");
    await add("two");
    await soon(isReached("one"));
    await soon(isReached("two"));
    const blocks = await Promise.all(["one", "two"].map(async (name) => (await read(name)).spec?.podCIDR ?? ""));
    expect(await routes()).toEqual({ [blocks[0]!]: "one", [blocks[1]!]: "two" });
    expect(await network("one")).toMatchObject({ reason: "RouteCreated", message: "RouteController created a route" });
    expect((await cloud.instances(["one"]))[0]?.forwards).toBe(true);
    const types = (await read("one")).status?.conditions?.map(({ type }) => type);
    expect(types?.sort()).toEqual(["NetworkUnavailable", "Ready"]);
  });

  test("deletes the route of a deleted node, and no other", async () => {
    await add("one");
    await add("two");
    await soon(isReached("two"));
    await cluster.client.delete(nodes, { name: "one" });
    await soon(async () => Object.values(await routes()).join() === "two");
    await cluster.pass(30_000);
    expect(Object.values(await routes())).toEqual(["two"]);
  });

  test("deletes routes that match no node's block, only within the cluster CIDR", async () => {
    await add("one");
    cloud.addInstance("stray");
    await cloud.ensureRoute({ block: "10.244.200.0/24", node: "stray" });
    await cloud.ensureRoute({ block: "192.168.7.0/24", node: "stray" });
    await add("two");
    await soon(async () => (await routes())["10.244.200.0/24"] === undefined);
    expect((await routes())["192.168.7.0/24"]).toBe("stray");
  });

  test("ignores a node that is not an instance, and creates the route of one that the cloud returns late", async () => {
    await cluster.addNode("fargate");
    await cluster.addNode("late");
    await soon(async () => (await read("late")).spec?.podCIDR !== undefined);
    await cluster.quiet();
    expect([await routes(), await network("late")]).toEqual([{}, undefined]);
    cloud.addInstance("late");
    await soon(isReached("late"));
    expect(await network("fargate")).toBeUndefined();
  });

  test("deletes the route of a stopped instance, and creates it again when it starts", async () => {
    await add("one");
    await soon(isReached("one"));
    const ready = (status: string) =>
      cluster.client.patch(
        nodes,
        { name: "one" },
        { status: { conditions: [{ type: "Ready", status }] } },
        { type: "strategic", subresource: "status" },
      );
    cloud.removeInstance("one");
    await ready("Unknown");
    await soon(async () => Object.keys(await routes()).length === 0);
    cloud.addInstance("one");
    await ready("True");
    await soon(async () => Object.values(await routes()).join() === "one");
    await cluster.pass(30_000);
    expect([await routes(), await isReached("one")()]).toEqual([
      { [(await read("one")).spec?.podCIDR ?? ""]: "one" },
      true,
    ]);
  });
});

describe("failures", () => {
  test("reports a route that cannot be created, and retries", async () => {
    fail = (method) => {
      if (method === "ensureRoute") throw new Error("RouteLimitExceeded");
    };
    await add("one");
    await soon(async () => (await network("one"))?.status === "True");
    expect(await network("one")).toMatchObject({ reason: "NoRouteCreated" });
    const event = await cluster.until(async () =>
      (await cluster.client.list(events)).items.find(({ reason }) => reason === "FailedToCreateRoute"),
    );
    expect(event.message).toMatch(/^Could not create route \S+ 10\.244\.\d+\.0\/24 for node one: RouteLimitExceeded$/);
    fail = undefined;
    await soon(isReached("one"));
  });

  test("a throttled cloud is not a failure", async () => {
    let left = 2;
    fail = (method) => {
      if (method === "ensureRoute" && left-- > 0) throw new RetryAfter(1000, "busy");
    };
    await add("one");
    await soon(isReached("one"));
    await cluster.quiet();
    const { json } = await cluster.ask("GET", "/api/v1/events");
    expect(json.items.filter(({ reason }: { reason: string }) => reason === "FailedToCreateRoute")).toEqual([]);
  });

  test.each(["before", "after"])(
    "after a crash %s a route is created the next control plane continues",
    async (when) => {
      await cluster.close();
      const store = memoryStore();
      let isDead = false;
      fail = (method, at) => {
        isDead ||= method === "ensureRoute" && at === when;
        if (isDead) throw new Error("dead");
      };
      cluster = await openCluster({ store, cloud, clock, podCidr });
      await add("one");
      await cluster.until(async () => isDead);
      await cluster.close();
      fail = undefined;
      cluster = await openCluster({ store, cloud, clock, podCidr });
      await soon(isReached("one"));
      expect(Object.values(await routes())).toEqual(["one"]);
    },
  );

  test("does nothing where the cloud manages no routes", async () => {
    await cluster.close();
    cloud = fakeCloud({ routing: false });
    cluster = await openCluster({ cloud, clock, podCidr });
    await add("one");
    await soon(async () => (await read("one")).spec?.podCIDR !== undefined);
    await cluster.quiet();
    expect([...cloud.counts.keys()]).toEqual(["routes"]);
    expect(await network("one")).toBeUndefined();
  });
});
