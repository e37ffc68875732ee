import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type LoadBalancer, Refused } from "#cloud";
import type { World } from "#cloud/conformance";
import { balancerName, groupName } from "./names.ts";
import { type AwsNetwork, AwsWorld, awsNetwork, type Front, startFront } from "./testing/index.ts";

/* AWS only: names in use by others, schemes that cannot be changed, route tables with other routes. */

const place = {
  cluster: "test",
  vpc: "vpc-1",
  subnets: ["subnet-a", "subnet-b"],
  securityGroup: "sg-balancers",
  routeTables: ["rtb-1", "rtb-2"],
  podCidr: "10.244.0.0/16",
} as const;
const service = { uid: "uid-1", namespace: "shop", name: "web" };
const prefix = "service.beta.kubernetes.io/aws-load-balancer-";

let network: AwsNetwork;
let front: Front;
let world: World;
let node: string;
/** Answers instead of the stand-in. */
let instead: ((body: string) => { status: number; body: string } | undefined) | undefined;

beforeEach(async () => {
  network = awsNetwork(place);
  instead = undefined;
  front = await startFront({ handle: (body) => instead?.(body) ?? network.handle(body) });
  world = new AwsWorld({
    ...place,
    front,
    attempts: 2,
    addInstance: async () => network.addInstance(),
    removeInstance: async (id) => network.removeInstance(id),
    settle: async () => network.settle(),
  });
  node = await world.addInstance();
});
afterEach(() => world.close());

const desired = (annotations: Record<string, string> = {}, more: Partial<LoadBalancer> = {}): LoadBalancer => ({
  service,
  ports: [{ protocol: "TCP", port: 80, nodePort: 30080 }],
  nodes: [node],
  sourceRanges: ["0.0.0.0/0"],
  affinity: false,
  annotations: Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`${prefix}${name}`, value])),
  ...more,
});
const ensure = (...input: Parameters<typeof desired>) => world.cloud.ensureLoadBalancer(desired(...input));
const foreign = { Name: "", Scheme: "internet-facing", Subnets: ["subnet-x"], SecurityGroups: [], Protocol: "TCP" };

describe("a resource of another owner", () => {
  test("a load balancer with the cluster's name is neither changed nor removed", async () => {
    const input = { ...foreign, Name: balancerName("test", service.uid) };
    const one = { arn: "arn:theirs", input, state: "active" as const, tags: {}, attributes: {} };
    network.state.balancers.push(one);
    const before = structuredClone(one);
    await expect(ensure()).rejects.toThrow(Refused);
    expect(await world.cloud.removeLoadBalancer(service.uid)).toBe("gone");
    expect(network.state.balancers).toEqual([before]);
    expect(front.actions.every((action) => action.startsWith("Describe"))).toBe(true);
  });

  test("a target group with the cluster's name is not used, even with another cluster's tags", async () => {
    const input = {
      ...foreign,
      Name: groupName("test", { uid: service.uid, protocol: "TCP", nodePort: 30080 }),
      Port: 30080,
    };
    const tags = { "skiff:cluster": "other", "skiff:balancer": service.uid };
    network.state.groups.push({ arn: "arn:theirs", input, tags, attributes: {}, targets: new Map() });
    await expect(ensure()).rejects.toThrow("does not belong to this cluster");
    for (let turn = 0; turn < 3; turn++) {
      await world.cloud.removeLoadBalancer(service.uid);
      network.settle();
    }
    expect(network.state.groups.map(({ arn }) => arn)).toEqual(["arn:theirs"]);
    expect(await world.cloud.loadBalancers()).toEqual([]);
  });

  test("an instance of another cluster is not a node and gets no route", async () => {
    const theirs = network.addInstance({ "skiff:cluster": "other" });
    expect(await world.cloud.instances([theirs])).toEqual([]);
    await expect(world.cloud.ensureRoute({ block: "10.244.1.0/24", node: theirs })).rejects.toThrow("not allowed");
    expect(network.state.instances.get(theirs)?.check).toBe(true);
  });

  test("routes outside of the pod addresses are ignored", async () => {
    for (const table of network.state.routes.values()) {
      table.set("10.1.0.0/16", node);
      table.set("10.240.0.0/12", node);
    }
    expect(await world.cloud.routes()).toEqual([]);
    await world.cloud.removeRoute({ block: "10.1.0.0/16", node });
    expect(network.state.routes.get("rtb-1")?.size).toBe(2);
  });
});

test("replaces a route that exists and is not listed yet", async () => {
  const other = await world.addInstance();
  await world.cloud.ensureRoute({ block: "10.244.1.0/24", node: other });
  const body = "<DescribeRouteTablesResponse><routeTableSet/></DescribeRouteTablesResponse>";
  instead = (request) => (request.includes("Action=DescribeRouteTables") ? { status: 200, body } : undefined);
  await world.cloud.ensureRoute({ block: "10.244.1.0/24", node });
  instead = undefined;
  expect(await world.cloud.routes()).toEqual([{ block: "10.244.1.0/24", node, isComplete: true }]);
});

describe("a load balancer", () => {
  test("has the cluster's tags, its own security group and the one that nodes accept traffic from", async () => {
    await ensure();
    const [one] = network.state.balancers;
    const [, group] = network.state.securityGroups;
    expect(one?.input.SecurityGroups).toEqual([group?.id, "sg-balancers"]);
    const expected = {
      "skiff:cluster": "test",
      "skiff:balancer": "uid-1",
      "kubernetes.io/service-name": "shop/web",
      "kubernetes.io/cluster/test": "owned",
    };
    for (const { tags } of [one!, group!, ...network.state.groups, ...network.state.listeners])
      expect(tags).toEqual(expected);
    expect(network.state.groups[0]?.input).toMatchObject({
      HealthCheckProtocol: "TCP",
      HealthCheckPort: "traffic-port",
    });
  });

  test("is created again under the same name when the scheme changes", async () => {
    await ensure();
    network.settle();
    const [old] = network.state.balancers;
    await expect(ensure({ scheme: "internal" })).rejects.toThrow("created again");
    await expect(ensure({ scheme: "internal" })).resolves.toMatchObject({ state: "provisioning" });
    network.settle();
    network.settle();
    expect(await ensure({ internal: "true" })).toMatchObject({ state: "active", changed: "nothing" });
    expect(network.state.balancers.map(({ input }) => [input.Name, input.Scheme])).toEqual([
      [old?.input.Name, "internal"],
    ]);
  });

  test("follows its annotations", async () => {
    await ensure();
    const more = {
      ...{ subnets: "subnet-0a, subnet-0b", "cross-zone-load-balancing-enabled": "true", "proxy-protocol": "*" },
      ...{ "healthcheck-protocol": "http", "healthcheck-path": "/up", "healthcheck-port": "8080" },
      ...{ "healthcheck-interval": "30", "healthcheck-timeout": "9", "healthcheck-healthy-threshold": "5" },
    };
    expect((await ensure(more, { affinity: true })).changed).toBe("balancer");
    expect((await ensure(more, { affinity: true })).changed).toBe("nothing");
    const [{ input: balancer, attributes }] = network.state.balancers as [(typeof network.state.balancers)[0]];
    const [{ input: group, attributes: ofGroup }] = network.state.groups as [(typeof network.state.groups)[0]];
    expect([balancer.Subnets, attributes]).toEqual([
      ["subnet-0a", "subnet-0b"],
      { "load_balancing.cross_zone.enabled": "true" },
    ]);
    expect(ofGroup).toEqual({ "stickiness.enabled": "true", "proxy_protocol_v2.enabled": "true" });
    expect(group).toMatchObject({ HealthCheckProtocol: "HTTP", HealthCheckPath: "/up", HealthCheckPort: "8080" });
    expect(group).toMatchObject({ HealthCheckIntervalSeconds: "30", HealthyThresholdCount: "5" });
    expect((await ensure()).changed).toBe("balancer");
    expect(group).toMatchObject({ HealthCheckProtocol: "TCP", HealthCheckPort: "traffic-port" });
  });

  test("checks the nodes' health port for externalTrafficPolicy: Local", async () => {
    await ensure({}, { healthPort: 31999 });
    const check = { HealthCheckProtocol: "HTTP", HealthCheckPort: "31999", HealthCheckPath: "/healthz" };
    expect(network.state.groups[0]?.input).toMatchObject(check);
  });

  test("shares a listener between TCP and UDP with the same node port", async () => {
    const both = (nodePort: number) => [
      { protocol: "TCP", port: 53, nodePort: 30053 },
      { protocol: "UDP", port: 53, nodePort },
    ];
    await ensure({}, { ports: both(30053) });
    expect(network.state.listeners.map(({ input }) => [input.Port, input.Protocol])).toEqual([["53", "TCP_UDP"]]);
    const rules = ["tcp/53-53/0.0.0.0/0", "udp/53-53/0.0.0.0/0"];
    expect([...network.state.securityGroups[1]!.rules]).toEqual(rules);
    await expect(ensure({}, { ports: both(30054) })).rejects.toThrow("the same node port");
  });

  test("restores rules that were added or removed by hand", async () => {
    await ensure();
    const { rules } = network.state.securityGroups[1]!;
    rules.clear();
    rules.add("tcp/22-22/0.0.0.0/0");
    expect((await ensure()).changed).toBe("balancer");
    expect([...rules]).toEqual(["tcp/80-80/0.0.0.0/0"]);
  });

  test("a call whose response is lost is repeated and creates nothing twice", async () => {
    for (let call = 1; call < 60; call++) {
      front.arm(call, "lost");
      await ensure().catch(() => {});
      const hasOccurred = front.revive();
      await ensure();
      const { balancers, groups, listeners, securityGroups } = network.state;
      expect([balancers, groups, listeners, securityGroups].map(({ length }) => length)).toEqual([1, 1, 1, 2]);
      if (!hasOccurred) return;
      for (let turn = 0; (await world.cloud.removeLoadBalancer(service.uid)) !== "gone" && turn < 5; turn++)
        network.settle();
    }
    expect.unreachable();
  }, 30_000);
});

describe("refuses what is not supported, by name", () => {
  const cases: [string, Record<string, string>, Partial<LoadBalancer>, string][] = [
    ["an unknown annotation", { "ssl-cert": "arn:x" }, {}, `annotation ${prefix}ssl-cert is not supported`],
    ["another type", { type: "external" }, {}, `annotation ${prefix}type: "external" must be nlb`],
    ["pods as targets", { "nlb-target-type": "ip" }, {}, "nlb-target-type"],
    ["an unknown scheme", { scheme: "public" }, {}, "must be internal or internet-facing"],
    ["two schemes", { scheme: "internet-facing", internal: "true" }, {}, "contradicts internal"],
    ["names of subnets", { subnets: "public-a" }, {}, "must be ids of subnets"],
    ["an interval that is too short", { "healthcheck-interval": "1" }, {}, "from 5 to 300"],
    ["a timeout above it", { "healthcheck-interval": "5", "healthcheck-timeout": "6" }, {}, "exceed the interval"],
    ["a path over TCP", { "healthcheck-path": "/up" }, {}, "needs the protocol HTTP or HTTPS"],
    ["addresses of version 6", {}, { sourceRanges: ["::/0"] }, "not IPv4"],
    ["a requested address", {}, { address: "192.0.2.1" }, "loadBalancerIP 192.0.2.1"],
    ["no node port", {}, { ports: [{ protocol: "TCP", port: 80, nodePort: 0 }] }, "has no node port"],
  ];
  test.each(cases)("%s", async (_name, annotations, more, message) => {
    await expect(ensure(annotations, more)).rejects.toThrow(Refused);
    await expect(ensure(annotations, more)).rejects.toThrow(message);
    expect(front.actions).toEqual([]);
  });
});
