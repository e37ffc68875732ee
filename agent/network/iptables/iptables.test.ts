import { expect, test } from "vitest";
import { node, node6, recordedIptables, rows, rows6 } from "#test/services";
import { changesBetween, type ProxyPort, proxyPortsOf } from "../model.ts";
import { service, slice } from "../testing/objects.ts";
import { type IptablesOptions, IptablesWriter, removal } from "./writer.ts";

const facts = { name: node.name, zone: node.zone };
const family = "IPv4";
const portsOf = (spec: object, endpoints: string[]): ProxyPort[] =>
  proxyPortsOf(service(spec), [slice(endpoints)], facts, { family });

/** iptables, of which the rules are what the test sets. */
class Kernel {
  readonly inputs: string[] = [];
  saved = { filter: "", nat: "" };
  error: Error | undefined;
  readonly writer: IptablesWriter;
  #ports: ProxyPort[] = [];

  constructor(options: Partial<IptablesOptions> = {}) {
    this.writer = new IptablesWriter({
      prefix: "KUBE",
      family,
      podCidr: node.podCidr,
      nodeIp: node.ip,
      ...options,
      seesBridge: true,
      save: async (table) => this.saved[table],
      restore: async (input) => {
        this.inputs.push(input);
        if (this.error) throw this.error;
      },
    });
  }

  async sync(ports: ProxyPort[]): Promise<string[]> {
    const changes = changesBetween(this.#ports, ports);
    this.#ports = ports;
    await this.writer.sync(changes);
    return this.inputs.at(-1)!.split("\n");
  }
}

/** Rules by table and chain. Those of shared chains are sorted: upstream's order of services is that of a hash. */
function chainsOf(input: string): Record<string, string[]> {
  const chains: Record<string, string[]> = {};
  let table = "";
  for (const line of input.split("\n")) {
    if (line.startsWith("*")) table = line;
    const [, declared] = /^:(\S+)/.exec(line) ?? [];
    if (declared !== undefined) chains[`${table} ${declared}`] ??= [];
    const [, chain, rule = ""] = /^-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain !== undefined) chains[`${table} ${chain}`]?.push(rule);
  }
  const isShared = (name: string) => !/KUBE-(?:SVC|SVL|EXT|FW|SEP)-/.test(name);
  return Object.fromEntries(
    Object.entries(chains)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, rules]) => [name, isShared(name) ? rules.toSorted() : rules]),
  );
}

test.each([
  ["IPv4", rows, node, "iptables"],
  ["IPv6", rows6, node6, "ip6tables"],
] as const)(
  "rules of %s are those that kube-proxy v1.37.2 writes for the same objects",
  async (family, rows, node, program) => {
    const ports = rows.flatMap((row) => proxyPortsOf(row.service, row.slice ? [row.slice] : [], facts, { family }));
    const kernel = new Kernel({ family, podCidr: node.podCidr, nodeIp: node.ip });
    await kernel.sync(ports);
    // Counters of nfacct, where the kernel has them, are not written.
    const recorded = recordedIptables(program).replaceAll(/ -m nfacct --nfacct-name \S+/g, "");
    expect(chainsOf(kernel.inputs[0]!)).toEqual(chainsOf(recorded));
    // The last rule of a shared chain counts.
    const last = (input: string) => input.split("\n").findLast((line) => line.startsWith("-A KUBE-SERVICES"));
    expect(last(kernel.inputs[0]!)).toBe(last(recorded));
  },
);

test("a later sync has the shared chains, and of ports' own chains those that changed", async () => {
  const kernel = new Kernel();
  await kernel.sync([...portsOf({}, ["10.244.0.5"])]);
  const next = await kernel.sync([...portsOf({}, ["10.244.0.6"])]);
  const chains = next.filter((line) => /^(?::|-X )\S*-(?:SVC|SEP)-/.test(line));
  expect(chains.map((line) => line.replace(/-[A-Z2-7]{16}/, ""))).toEqual([
    ":KUBE-SEP - [0:0]",
    ":KUBE-SVC - [0:0]",
    ":KUBE-SEP - [0:0]",
    "-X KUBE-SEP",
  ]);
  expect(next.filter((line) => line.startsWith("-I"))).toEqual([]);
});

test("the first sync adds missing jumps, and deletes chains that an earlier process left", async () => {
  const kernel = new Kernel();
  kernel.saved.nat = [
    "*nat",
    ":PREROUTING ACCEPT [0:0]",
    ":KUBE-SERVICES - [0:0]",
    ":KUBE-SVC-OLDOLDOLDOLDOLDO - [0:0]",
    ":OTHER-SVC-OLDOLDOLDOLDOLDO - [0:0]",
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  ].join("\n");
  const first = await kernel.sync([]);
  expect(first).toContain("-X KUBE-SVC-OLDOLDOLDOLDOLDO");
  expect(first).not.toContain("-X OTHER-SVC-OLDOLDOLDOLDOLDO");
  const nat = first.slice(first.indexOf("*nat")).filter((line) => line.startsWith("-I"));
  expect(nat).toEqual([
    '-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
  ]);
});

test("after a failure everything is written again", async () => {
  const kernel = new Kernel();
  await kernel.sync([]);
  kernel.error = new Error("busy");
  await expect(kernel.sync(portsOf({}, ["10.244.0.5"]))).rejects.toThrow("busy");
  kernel.error = undefined;
  const next = await kernel.sync(portsOf({}, ["10.244.0.5"]));
  expect(next.filter((line) => line.startsWith(":KUBE-SVC-"))).toHaveLength(1);
  expect(next.some((line) => line.startsWith("-I PREROUTING"))).toBe(true);
});

test("packets to service addresses of no service are refused", async () => {
  const kernel = new Kernel({ serviceCidr: "10.96.0.0/16" });
  const lines = await kernel.sync(portsOf({}, []));
  const refused = lines.filter((line) => line.startsWith("-A KUBE-SERVICES") && line.endsWith("REJECT"));
  expect(refused.at(-1)).toBe("-A KUBE-SERVICES -d 10.96.0.0/16 -j REJECT");
});

test("packets of this node's pods that leave all nodes' pods are masqueraded, where the cluster's block is known", async () => {
  const rules = (await new Kernel({ clusterCidr: "10.244.0.0/16" }).sync([])).filter((line) =>
    line.includes("POSTROUTING -m mark !"),
  );
  const unmarked = "-A KUBE-POSTROUTING -m mark ! --mark 0x00004000/0x00004000";
  expect(rules).toEqual([
    `${unmarked} -s ${node.podCidr} -d 224.0.0.0/4 -j RETURN`,
    `${unmarked} -s ${node.podCidr} ! -d 10.244.0.0/16 -j MASQUERADE --random-fully`,
    `${unmarked} -j RETURN`,
  ]);
});

test("removal deletes the jumps and the chains of one cluster", () => {
  const saved = [
    "*nat",
    ":PREROUTING ACCEPT [0:0]",
    ":S0a1b2c-SERVICES - [0:0]",
    ":Sffffff-SERVICES - [0:0]",
    ":S0a1b2c-SVC-AAAAAAAAAAAAAAAA - [0:0]",
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j S0a1b2c-SERVICES',
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j Sffffff-SERVICES',
    "-A S0a1b2c-SERVICES -d 10.96.0.1/32 -j S0a1b2c-SVC-AAAAAAAAAAAAAAAA",
    "COMMIT",
  ].join("\n");
  expect(removal("nat", saved, "S0a1b2c")?.split("\n")).toEqual([
    "*nat",
    ":S0a1b2c-SERVICES - [0:0]",
    ":S0a1b2c-SVC-AAAAAAAAAAAAAAAA - [0:0]",
    '-D PREROUTING -m comment --comment "kubernetes service portals" -j S0a1b2c-SERVICES',
    "-X S0a1b2c-SERVICES",
    "-X S0a1b2c-SVC-AAAAAAAAAAAAAAAA",
    "COMMIT",
    "",
  ]);
  expect(removal("nat", saved, "S999999")).toBeUndefined();
});
