import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, systemClock } from "#base";
import { IptablesWriter } from "./iptables/writer.ts";
import { changesBetween, type ProxyPort, proxyPortsOf } from "./model.ts";
import { NftablesWriter } from "./nftables/writer.ts";
import { nodePortBlocks } from "./node-port-addresses.ts";
import { Network } from "./testing/network.ts";
import { service, slice } from "./testing/objects.ts";
import type { RuleWriter } from "./writer.ts";

/* The rules of both modes in both families of addresses, in the kernel: a client on a link to a node of two addresses. */

const families = {
  IPv4: {
    ...{ primary: "192.0.2.1", secondary: "192.0.2.2", client: "192.0.2.9", bits: 24 },
    ...{ endpoint: "10.244.0.5", podCidr: "10.244.0.0/24", clusterIP: "10.96.0.10", serviceCidr: "10.96.0.0/16" },
  },
  IPv6: {
    ...{ primary: "2001:db8::1", secondary: "2001:db8::2", client: "2001:db8::9", bits: 64 },
    ...{ endpoint: "fd00:244::5", podCidr: "fd00:244::/64", clusterIP: "fd00:96::10", serviceCidr: "fd00:96::/112" },
  },
} as const;
type Family = keyof typeof families;
const nodePort = 30_080;

let node: Network;
let client: Network;

beforeAll(async () => {
  [node, client] = [await Network.open(), await Network.open()];
  node.run("ip", "link", "add", "out", "type", "veth", "peer", "name", "eth0", "netns", `${client.pid}`);
  node.run("ip", "link", "add", "pods", "type", "bridge");
  for (const { primary, secondary, client: own, bits, endpoint, serviceCidr } of Object.values(families)) {
    // Duplicates of addresses are looked for in IPv6, which takes a second.
    const flags = own.includes(":") ? ["nodad"] : [];
    for (const address of [primary, secondary])
      node.run("ip", "address", "add", `${address}/${bits}`, "dev", "out", ...flags);
    node.run("ip", "address", "add", endpoint, "dev", "pods", ...flags);
    client.run("ip", "address", "add", `${own}/${bits}`, "dev", "eth0", ...flags);
    for (const device of ["out", "pods"]) node.run("ip", "link", "set", device, "up");
    client.run("ip", "link", "set", "eth0", "up");
    client.run("ip", "route", "add", serviceCidr, "via", primary);
    // The node's own requests are routed before their address is translated.
    node.run("ip", "route", "add", serviceCidr, "via", own);
  }
  node.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
  const answer = `require("http").createServer((_, answer) => answer.end("pod")).listen(8080, "::", () => console.log("ready"))`;
  const server = spawn("nsenter", [...node.flags, process.execPath, "-e", answer], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  node.own(server);
  await once(server.stdout, "data");
});
afterAll(() => {
  client?.close();
  node?.close();
});

/** The answer to a request, or the code of its error: TIMEOUT after two seconds without any. */
const asked = (network: Network, host: string, port: number): string =>
  network.run(
    process.execPath,
    "-e",
    `const request = require("http").get({ host: "${host}", port: ${port}, timeout: 2000 }, (answer) => answer.pipe(process.stdout));
     request.on("timeout", () => { console.log("TIMEOUT"); process.exit(); });
     request.on("error", ({ code }) => console.log(code));`,
  );

/** Waits for what the kernel needs a moment for, such as a neighbour. */
async function answers(network: Network, host: string, port: number, expected: string): Promise<void> {
  for (let attempt = 0; attempt < 20 && asked(network, host, port) !== expected; attempt++)
    await sleep(systemClock, 200);
  expect([host, port, asked(network, host, port)]).toEqual([host, port, expected]);
}

function writerOf(mode: string, family: Family, words: string[]): RuleWriter {
  const { primary, podCidr, serviceCidr } = families[family];
  const nodePortAddresses = nodePortBlocks({ words, family, nodeIp: primary });
  const shared = { family, podCidr, serviceCidr, nodeIp: primary, nodePortAddresses, seesBridge: true };
  if (mode === "nftables") {
    return new NftablesWriter({
      ...{ ...shared, table: `test-${family}`, now: () => performance.now(), listSets: async () => undefined },
      run: async (commands) => void node.input(commands, "nft", "-f", "-"),
    });
  }
  const program = family === "IPv4" ? "iptables" : "ip6tables";
  return new IptablesWriter({
    ...{ ...shared, prefix: "STEST" },
    restore: async (input) => void node.input(input, `${program}-restore`, "--noflush"),
    save: async (table) => node.run(`${program}-save`, "-t", table),
  });
}

/** Removes all rules of the node. */
function flush(): void {
  node.input("flush ruleset\n", "nft", "-f", "-");
}

const portsOf = (family: Family, endpoints: string[], spec: object = {}): ProxyPort[] => {
  const { clusterIP } = families[family];
  const object = service({
    ...{ type: "NodePort", clusterIP, clusterIPs: [clusterIP], ipFamilies: [family] },
    ...{ ports: [{ port: 80, protocol: "TCP", nodePort }], ...spec },
  });
  const slices = [{ ...slice(endpoints), addressType: family }];
  return proxyPortsOf(object, slices as never, { name: "here", zone: "" }, { family });
};

const cases = ["nftables", "iptables"].flatMap((mode) =>
  (["IPv4", "IPv6"] as const).map((family) => [mode, family] as const),
);

describe.each(cases)("%s, %s", (mode, family) => {
  const { primary, secondary, clusterIP, endpoint } = families[family];

  test("a service is reached at its address and its node port, and refused without endpoints", async () => {
    const writer = writerOf(mode, family, []);
    const full = portsOf(family, [`${endpoint}@here`]);
    await writer.sync(changesBetween([], full));
    await answers(client, clusterIP, 80, "pod");
    await answers(node, clusterIP, 80, "pod");
    for (const address of [primary, secondary]) await answers(client, address, nodePort, "pod");
    const empty = portsOf(family, []);
    await writer.sync(changesBetween(full, empty));
    await answers(client, clusterIP, 80, "ECONNREFUSED");
    await answers(client, primary, nodePort, "ECONNREFUSED");
    const affine = portsOf(family, [`${endpoint}@here`], { sessionAffinity: "ClientIP" });
    await writer.sync(changesBetween(empty, affine));
    await answers(client, clusterIP, 80, "pod");
    const local = portsOf(family, [`${endpoint}@there`], { externalTrafficPolicy: "Local" });
    await writer.sync(changesBetween(affine, local));
    await answers(client, primary, nodePort, "TIMEOUT");
    flush();
  });

  // kube-proxy's --nodeport-addresses: GetNodeIPs of those addresses, without the loopback's.
  test.each([
    ["primary", [primary], [secondary]],
    [`${secondary}/${family === "IPv4" ? 32 : 128}`, [secondary], [primary]],
    ["all", [primary, secondary], []],
    ["localhost", [], [primary, secondary]],
  ])("node ports answer at the addresses %s", async (word, open, closed) => {
    const writer = writerOf(mode, family, [word]);
    const full = portsOf(family, [`${endpoint}@here`]);
    await writer.sync(changesBetween([], full));
    for (const address of open) await answers(client, address, nodePort, "pod");
    for (const address of closed) await answers(client, address, nodePort, "ECONNREFUSED");
    await answers(node, family === "IPv4" ? "127.0.0.1" : "::1", nodePort, "ECONNREFUSED");
    await answers(client, clusterIP, 80, "pod");
    flush();
  });
});
