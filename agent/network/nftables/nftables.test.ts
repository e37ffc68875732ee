import { expect, test } from "vitest";
import { changesBetween, type ProxyPort, proxyPortsOf } from "../model.ts";
import { service, slice } from "../testing/objects.ts";
import { rulesOf } from "./rules.ts";
import { tableSetup } from "./setup.ts";
import { NftablesWriter } from "./writer.ts";

const node = { name: "here", zone: "" };
const portsOf = (spec: object, endpoints: string[], more: object = {}) =>
  proxyPortsOf(service(spec, more), [slice(endpoints)], node, { family: "IPv4" });
const options = { family: "IPv4", podCidr: "10.244.0.0/24", nodeIp: "192.0.2.1" } as const;

/** Elements as `container key : value`, and chains as `name: rule; rule`, without the hashes of names. */
function told(ports: ProxyPort[]) {
  const all = ports.map((port) => rulesOf(port, options));
  const plain = (text: string) => text.replaceAll(/[0-9a-f]{8}-(?=default)/g, "");
  return {
    elements: all.flatMap(({ elements }) =>
      elements.map(({ container, key, value }) =>
        plain(`${container} ${key}${value === undefined ? "" : ` : ${value}`}`),
      ),
    ),
    chains: all.flatMap(({ chains }) => [...chains].map(([name, rules]) => plain(`${name}: ${rules.join("; ")}`))),
    sets: all.flatMap(({ sets }) => [...sets].map(([name, definition]) => plain(`${name} ${definition}`))),
  };
}

const nodePort = { type: "NodePort", ports: [{ port: 80, protocol: "TCP", nodePort: 30080 }] };

// Verdicts, masquerading and short cuts: nftables/proxier.go syncProxyRules of v1.37.2.
test("a service with two endpoints is elements only", () => {
  expect(told(portsOf(nodePort, ["10.244.0.5@here", "10.244.1.5@there"]))).toEqual({
    elements: [
      "hairpin-connections 10.244.0.5 . 10.244.0.5 . tcp . 8080",
      "cluster-ips 10.96.0.10",
      "services 10.96.0.10 . tcp . 80 : goto pick-2",
      "endpoints 10.96.0.10 . tcp . 80 . 0 : 10.244.0.5 . 8080",
      "endpoints 10.96.0.10 . tcp . 80 . 1 : 10.244.1.5 . 8080",
      "node-ports tcp . 30080 : goto node-port-2",
      "node-port-endpoints tcp . 30080 . 0 : 10.244.0.5 . 8080",
      "node-port-endpoints tcp . 30080 . 1 : 10.244.1.5 . 8080",
    ],
    chains: [],
    sets: [],
  });
});

test("frontends without endpoints are refused", () => {
  expect(told(portsOf({ ...nodePort, externalIPs: ["192.0.2.7"] }, [])).elements).toEqual([
    "cluster-ips 10.96.0.10",
    "no-endpoint-services 10.96.0.10 . tcp . 80 : goto refuse",
    "no-endpoint-services 192.0.2.7 . tcp . 80 : goto refuse",
    "no-endpoint-node-ports tcp . 30080 : goto refuse",
  ]);
});

test("policy Local without local endpoints drops", () => {
  const internal = told(portsOf({ internalTrafficPolicy: "Local" }, ["10.244.1.5@there"]));
  expect(internal.elements).toContain("no-endpoint-services 10.96.0.10 . tcp . 80 : drop");
  const external = told(portsOf({ ...nodePort, externalTrafficPolicy: "Local" }, ["10.244.1.5@there"]));
  expect(external.elements).toEqual([
    "cluster-ips 10.96.0.10",
    "services 10.96.0.10 . tcp . 80 : goto pick-1",
    "endpoints 10.96.0.10 . tcp . 80 . 0 : 10.244.1.5 . 8080",
    "no-endpoint-node-ports tcp . 30080 : drop",
    "node-ports tcp . 30080 : goto external-default/web/tcp/",
  ]);
});

test("policy Local has short cuts for traffic from this node", () => {
  const ports = portsOf({ ...nodePort, externalTrafficPolicy: "Local" }, ["10.244.0.5@here", "10.244.1.5@there"]);
  expect(told(ports).chains).toEqual([
    "cluster-default/web/tcp/: meta l4proto tcp dnat ip addr . port to numgen random mod 2 map " +
      "{ 0 : 10.244.0.5 . 8080, 1 : 10.244.1.5 . 8080 }",
    "local-default/web/tcp/: meta l4proto tcp dnat ip addr . port to numgen random mod 1 map { 0 : 10.244.0.5 . 8080 }",
    "external-default/web/tcp/: ip saddr 10.244.0.0/24 goto cluster-default/web/tcp/; " +
      "fib saddr type local meta mark set meta mark or 0x4000; " +
      "fib saddr type local goto cluster-default/web/tcp/; goto local-default/web/tcp/",
  ]);
});

test("load balancer addresses are masqueraded, and restricted to the source ranges", () => {
  const loadBalancerSourceRanges = ["192.0.2.0/24", "192.0.2.128/25", "203.0.113.0/24"];
  const status = { loadBalancer: { ingress: [{ ip: "198.51.100.1" }] } };
  const { elements, chains } = told(
    portsOf({ type: "LoadBalancer", loadBalancerSourceRanges }, ["10.244.0.5"], { status }),
  );
  expect(elements).toContain("masqueraded 198.51.100.1 . tcp . 80");
  expect(elements).toContain("services 198.51.100.1 . tcp . 80 : goto pick-1");
  expect(elements).toContain("source-ranges 198.51.100.1 . tcp . 80 : goto firewall-default/web/tcp/");
  // The node's address is within a range, so that its requests with the load balancer's address pass.
  expect(chains).toEqual([
    "firewall-default/web/tcp/: ip saddr != { 192.0.2.0/24, 203.0.113.0/24, 198.51.100.1 } drop",
  ]);
});

test("affinity has a set of clients for each endpoint", () => {
  const affinity = { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } };
  const { elements, chains, sets } = told(portsOf(affinity, ["10.244.0.5", "10.244.0.6"]));
  expect(elements).toContain("services 10.96.0.10 . tcp . 80 : goto cluster-default/web/tcp/");
  const [five, six] = ["default/web/tcp/__10.244.0.5/8080", "default/web/tcp/__10.244.0.6/8080"];
  expect(chains).toEqual([
    `endpoint-${five}: update @affinity-60-${five} { ip saddr }; meta l4proto tcp dnat to 10.244.0.5:8080`,
    `endpoint-${six}: update @affinity-60-${six} { ip saddr }; meta l4proto tcp dnat to 10.244.0.6:8080`,
    `cluster-default/web/tcp/: ip saddr @affinity-60-${five} goto endpoint-${five}; ` +
      `ip saddr @affinity-60-${six} goto endpoint-${six}; ` +
      `numgen random mod 2 vmap { 0 : goto endpoint-${five}, 1 : goto endpoint-${six} }`,
  ]);
  expect(sets).toEqual(
    [five, six].map((name) => `affinity-60-${name} { type ipv4_addr; flags dynamic, timeout; timeout 60s; }`),
  );
});

test("more endpoints than shared chains have a chain of their own", () => {
  const many = Array.from({ length: 65 }, (_, index) => `10.244.0.${index + 1}`);
  const { elements, chains } = told(portsOf(nodePort, many));
  expect(elements).toEqual([
    "cluster-ips 10.96.0.10",
    "services 10.96.0.10 . tcp . 80 : goto cluster-default/web/tcp/",
    "node-ports tcp . 30080 : goto external-default/web/tcp/",
  ]);
  expect(chains.map((text) => text.split(":")[0])).toEqual(["cluster-default/web/tcp/", "external-default/web/tcp/"]);
});

class Kernel {
  readonly transactions: string[][] = [];
  time = 0;
  fails = false;
  sets: string | undefined;
  readonly writer = new NftablesWriter({
    ...options,
    table: "skiff-1",
    serviceCidr: "10.96.0.0/16",
    seesBridge: true,
    now: () => this.time,
    listSets: async () => this.sets,
    run: async (commands) => {
      if (this.fails) throw new Error("busy");
      this.transactions.push(commands.trim().split("\n"));
    },
  });
  #ports: ProxyPort[] = [];

  /** The commands of the sync that makes these the service ports. */
  async sync(...ports: ProxyPort[][]): Promise<string[] | undefined> {
    const before = this.transactions.length;
    const changes = changesBetween(this.#ports, ports.flat());
    this.#ports = ports.flat();
    await this.writer.sync(changes);
    return this.transactions[before]?.map((line) => line.replaceAll("ip skiff-1 ", ""));
  }
}

test("one changed endpoint is one element, and nothing if nothing changed", async () => {
  const kernel = new Kernel();
  const first = await kernel.sync(portsOf({}, ["10.244.0.5", "10.244.0.6"]));
  expect(first?.slice(0, 3)).toEqual(["add table ip skiff-1", "delete table ip skiff-1", "add table ip skiff-1"]);
  expect(first).toContain("add element services { 10.96.0.10 . tcp . 80 : goto pick-2 }");
  expect(await kernel.sync(portsOf({}, ["10.244.0.5", "10.244.0.6"]))).toBeUndefined();
  expect(await kernel.sync(portsOf({}, ["10.244.0.5", "10.244.0.7"]))).toEqual([
    "delete element endpoints { 10.96.0.10 . tcp . 80 . 1 }",
    "add element endpoints { 10.96.0.10 . tcp . 80 . 1 : 10.244.0.7 . 8080 }",
  ]);
  expect(await kernel.sync()).toEqual([
    "delete element cluster-ips { 10.96.0.10 }",
    "delete element services { 10.96.0.10 . tcp . 80 }",
    "delete element endpoints { 10.96.0.10 . tcp . 80 . 0, 10.96.0.10 . tcp . 80 . 1 }",
  ]);
});

test("after a failure the whole table is written again", async () => {
  const kernel = new Kernel();
  await kernel.sync();
  kernel.fails = true;
  await expect(kernel.sync(portsOf({}, ["10.244.0.5"]))).rejects.toThrow("busy");
  kernel.fails = false;
  const next = await kernel.sync(portsOf({}, ["10.244.0.5"]));
  expect(next?.[1]).toBe("delete table ip skiff-1");
  expect(next).toContain("add element endpoints { 10.96.0.10 . tcp . 80 . 0 : 10.244.0.5 . 8080 }");
});

test("an unused chain is emptied, and deleted by a later sync", async () => {
  const kernel = new Kernel();
  const local = portsOf({ ...nodePort, externalTrafficPolicy: "Local" }, ["10.244.0.5@here"]);
  await kernel.sync(local);
  const emptied = await kernel.sync(portsOf(nodePort, ["10.244.0.5@here"]));
  expect(emptied?.filter((line) => line.startsWith("flush chain"))).toHaveLength(3);
  expect(emptied?.some((line) => line.startsWith("delete chain"))).toBe(false);
  kernel.time = 1000;
  const later = await kernel.sync(portsOf(nodePort, ["10.244.0.6@here"]));
  expect(later?.filter((line) => line.startsWith("delete chain"))).toHaveLength(3);
});

test("of two services with one external address the first by name has it", async () => {
  const kernel = new Kernel();
  const shared = { externalIPs: ["192.0.2.7"] };
  const other = portsOf({ ...shared, clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9"] }, ["10.244.0.9"]).map(
    (port) => ({ ...port, name: "default/aaa", service: "default/aaa" }),
  );
  const web = portsOf(shared, ["10.244.0.5"]);
  await kernel.sync(web);
  const taken = await kernel.sync(web, other);
  expect(taken).toContain(
    "add element endpoints { 10.96.0.9 . tcp . 80 . 0 : 10.244.0.9 . 8080, 192.0.2.7 . tcp . 80 . 0 : 10.244.0.9 . 8080 }",
  );
  const back = await kernel.sync(web);
  expect(back).toContain("add element endpoints { 192.0.2.7 . tcp . 80 . 0 : 10.244.0.5 . 8080 }");
});

// As nft 1.0.6 prints them.
test("clients with affinity keep their endpoint when the table is replaced", async () => {
  const kernel = new Kernel();
  const affinity = { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } };
  const ports = portsOf(affinity, ["10.244.0.5"]);
  const [name = ""] = rulesOf(ports[0]!, options).sets.keys();
  const elem = [
    { elem: { val: "10.244.0.9", expires: 41 } },
    { elem: { val: "10.244.0.8", expires: 0 } },
    "10.244.0.7",
  ];
  const of = (table: string, set: string) => ({ set: { family: "ip", table, name: set, elem } });
  kernel.sets = JSON.stringify({
    nftables: [{ metainfo: {} }, of("skiff-1", name), of("skiff-2", name), of("skiff-1", "affinity-60-of-no-service")],
  });
  const first = await kernel.sync(ports);
  const added = first?.filter((line) => line.startsWith("add element affinity-"));
  expect(added).toEqual([`add element ${name} { 10.244.0.9 expires 41s }`]);
  expect(await kernel.sync()).not.toContain("expires");
});

test("packets of this node's pods that leave all nodes' pods are masqueraded, where the cluster's block is known", () => {
  const shared = { family: "IPv4", table: "t", podCidr: "10.244.0.0/24", seesBridge: true } as const;
  const leaving = (more: object) => tableSetup({ ...shared, ...more }).filter((line) => /ip daddr != \{/.test(line));
  expect(leaving({})).toEqual([]);
  expect(leaving({ clusterCidr: "10.244.0.0/16" })).toEqual([
    "add rule ip t masquerading ip saddr 10.244.0.0/24 ip daddr != { 10.244.0.0/16, 224.0.0.0/4 } masquerade fully-random",
  ]);
});
