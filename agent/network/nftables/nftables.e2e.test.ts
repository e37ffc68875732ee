import { afterAll, beforeAll, expect, test } from "vitest";
import { changesBetween, type ProxyPort, proxyPortsOf } from "../model.ts";
import { Network } from "../testing/network.ts";
import { service, slice } from "../testing/objects.ts";
import { type NftablesOptions, NftablesWriter } from "./writer.ts";

let network: Network;
beforeAll(async () => {
  network = await Network.open();
});
afterAll(() => network?.close());

const options = (table: string): NftablesOptions => ({
  table,
  family: "IPv4",
  podCidr: "10.244.0.0/24",
  serviceCidr: "10.96.0.0/16",
  nodeIp: "192.0.2.1",
  seesBridge: false,
  now: () => Date.now(),
  listSets: async () => network.run("nft", "-j", "list", "sets", "ip"),
  run: async (commands) => {
    network.input(commands, "nft", "-f", "-");
  },
});
const list = (table: string): string[] => {
  const text = network.run("nft", "-s", "list", "table", "ip", table).replaceAll(table, "TABLE");
  // The order of elements in the kernel is that of a hash.
  const words = text.replaceAll(/elements = \{([^}]*)\}/g, (_, elements: string) =>
    elements
      .split(",")
      .map((each) => each.trim())
      .toSorted()
      .join("\n"),
  );
  return words
    .split("\n")
    .map((line) => line.trim())
    .toSorted();
};

const portsOf = (name: string, spec: object, endpoints: string[]): ProxyPort[] => {
  const status = { loadBalancer: { ingress: [{ ip: "198.51.100.1" }] } };
  const made = service(spec, { metadata: { name }, status });
  return proxyPortsOf(made, [slice(endpoints)], { name: "here", zone: "" }, { family: "IPv4" });
};

test("the kernel takes every form of rule, and syncs of changes end in the same table as one sync of everything", async () => {
  const at = (last: number) => ({ clusterIP: `10.96.0.${last}`, clusterIPs: [`10.96.0.${last}`] });
  const nodePort = (number: number) => ({
    type: "LoadBalancer",
    ports: [{ port: 80, protocol: "TCP", nodePort: number }],
  });
  const affinity = (timeoutSeconds: number) => ({
    sessionAffinity: "ClientIP",
    sessionAffinityConfig: { clientIP: { timeoutSeconds } },
  });
  const two = ["10.244.0.5@here", "10.244.1.5@there"];
  const many = Array.from({ length: 70 }, (_, index) => `10.244.1.${index + 1}`);
  const states: ProxyPort[][][] = [
    [],
    [portsOf("a", at(1), two), portsOf("b", { ...at(2), ...nodePort(30002), externalTrafficPolicy: "Local" }, two)],
    [
      portsOf("a", { ...at(1), ...affinity(60) }, two),
      portsOf("b", { ...at(2), ...nodePort(30002), externalTrafficPolicy: "Local" }, ["10.244.1.5@there"]),
      portsOf("c", { ...at(3), ...nodePort(30003), loadBalancerSourceRanges: ["10.0.0.0/8", "10.1.0.0/16"] }, two),
    ],
    [
      portsOf("a", { ...at(1), ...affinity(90) }, ["10.244.0.6@here", "10.244.1.5@there"]),
      portsOf("c", { ...at(3), ...nodePort(30003), ...affinity(60), externalTrafficPolicy: "Local" }, two),
      portsOf("d", { ...at(4), ports: [{ port: 53, protocol: "UDP" }] }, []),
      portsOf("e", { ...at(5), ...nodePort(30005) }, many),
    ],
    [portsOf("c", at(3), []), portsOf("e", { ...at(5), ...nodePort(30005), internalTrafficPolicy: "Local" }, two)],
    [],
  ];
  const writer = new NftablesWriter(options("one"));
  let before: ProxyPort[] = [];
  for (const [index, state] of states.entries()) {
    const ports = state.flat();
    await writer.sync(changesBetween(before, ports));
    before = ports;
    const fresh = new NftablesWriter(options("two"));
    await fresh.sync(changesBetween([], ports));
    // Chains that are no longer used are empty until a later sync.
    const empty = /^chain \S+ \{$/;
    const used = (lines: string[]) => lines.filter((line) => !empty.test(line) && line !== "}" && line !== "");
    expect([index, used(list("one"))]).toEqual([index, used(list("two"))]);
  }
});

test("clients with affinity stay known when a new process replaces the table", async () => {
  const ports = portsOf("a", { sessionAffinity: "ClientIP", clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1"] }, [
    "10.244.0.5@here",
  ]);
  await new NftablesWriter(options("kept")).sync(changesBetween([], ports));
  const [set = ""] = /affinity-\S+/.exec(network.run("nft", "list", "table", "ip", "kept")) ?? [];
  network.input(`add element ip kept ${set} { 10.244.0.9 expires 500s }`, "nft", "-f", "-");
  await new NftablesWriter(options("kept")).sync(changesBetween([], ports));
  const [, minutes] = /10\.244\.0\.9 expires (\d+)m/.exec(network.run("nft", "list", "set", "ip", "kept", set)) ?? [];
  expect(Number(minutes)).toBeLessThanOrEqual(8);
});
