import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Service } from "#api";
import { silentLog, sleep, systemClock } from "#base";
import { Redirects, ServiceProxy } from "./index.ts";
import { NftablesWriter } from "./nftables/writer.ts";
import { Network } from "./testing/network.ts";
import { service, slice } from "./testing/objects.ts";

/** A node and a pod on its bridge's network: the gateway 10.244.0.1 and the pod 10.244.0.2. */
let node: Network;
let pod: Network;
const listener = { address: "10.244.0.1", port: 5353 };

beforeAll(async () => {
  node = await Network.open();
  pod = await Network.open();
  node.run("ip", "link", "add", "pod", "type", "veth", "peer", "name", "eth0", "netns", `${pod.pid}`);
  node.run("ip", "address", "add", "10.244.0.1/24", "dev", "pod");
  node.run("ip", "link", "set", "pod", "up");
  node.run("ip", "link", "add", "out", "type", "veth", "peer", "name", "far");
  node.run("ip", "address", "add", "192.0.2.1/24", "dev", "out");
  for (const device of ["out", "far"]) node.run("ip", "link", "set", device, "up");
  node.run("ip", "route", "add", "default", "via", "192.0.2.254");
  node.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward");
  pod.run("ip", "address", "add", "10.244.0.2/24", "dev", "eth0");
  pod.run("ip", "link", "set", "eth0", "up");
  pod.run("ip", "route", "add", "default", "via", "10.244.0.1");
  const answer = `
    const { address, port } = ${JSON.stringify(listener)};
    require("http").createServer((_, answer) => answer.end("tcp")).listen(port, address, () => {
      const socket = require("dgram").createSocket("udp4");
      socket.on("message", (_, from) => socket.send("udp", from.port, from.address));
      socket.bind(port, address, () => console.log("ready"));
    });`;
  const server = spawn("nsenter", [...node.flags, process.execPath, "-e", answer], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  node.own(server);
  await once(server.stdout, "data");
});
afterAll(() => {
  pod?.close();
  node?.close();
});

const ports = [
  { name: "tcp", port: 53, protocol: "TCP" },
  { name: "udp", port: 53, protocol: "UDP" },
  { name: "other", port: 54, protocol: "TCP" },
];
/** What a service's ports answer: the text, or the code of the error. */
const asked = (network: Network, port: number, protocol: "TCP" | "UDP"): string =>
  network.run(
    process.execPath,
    "-e",
    protocol === "TCP"
      ? `const request = require("http").get({ host: "10.96.0.10", port: ${port}, timeout: 5000 }, (answer) => answer.pipe(process.stdout));
        request.on("timeout", () => request.destroy());
        request.on("error", ({ code }) => console.log(code));`
      : `const socket = require("dgram").createSocket("udp4");
        socket.on("message", (text) => { console.log(text.toString()); process.exit(); });
        socket.on("error", ({ code }) => { console.log(code); process.exit(); });
        socket.connect(${port}, "10.96.0.10", () => socket.send("hello"));
        setTimeout(() => process.exit(), 5000);`,
  );

/** Leaves time for the proxy in between. */
async function until(what: () => boolean): Promise<void> {
  while (!what()) await sleep(systemClock, 50);
}

test("a service that the node answers itself is reached from pods and from the node, over TCP and UDP", async () => {
  const redirects = new Redirects();
  const dns: Service = service({ ports }, { metadata: { name: "kube-dns", namespace: "kube-system" } });
  const writer = new NftablesWriter({
    table: "skiff-test",
    family: "IPv4",
    podCidr: "10.244.0.0/24",
    serviceCidr: "10.96.0.0/16",
    seesBridge: true,
    now: () => performance.now(),
    listSets: async () => undefined,
    run: async (commands) => {
      node.input(commands, "nft", "-f", "-");
    },
  });
  const proxy = new ServiceProxy({
    node: { name: "here", zone: "" },
    family: "IPv4",
    redirects,
    source: { services: () => [dns], slices: () => [slice([])], follow: () => () => {} },
    writer,
    clock: systemClock,
    log: silentLog,
    warn: () => {},
  });
  expect(redirects.isServed).toBe(false);
  await proxy.start();
  expect(redirects.isServed).toBe(true);
  expect([asked(pod, 53, "TCP"), asked(node, 53, "TCP")]).toEqual(["ECONNREFUSED", "ECONNREFUSED"]);
  redirects.set("kube-system/kube-dns", { "53/UDP": listener, "53/TCP": listener });
  await until(() => asked(pod, 53, "TCP") === "tcp");
  expect([asked(node, 53, "TCP"), asked(pod, 53, "UDP"), asked(node, 53, "UDP")]).toEqual(["tcp", "udp", "udp"]);
  expect(asked(pod, 54, "TCP")).toBe("ECONNREFUSED");
  redirects.delete("kube-system/kube-dns");
  await until(() => asked(pod, 53, "TCP") === "ECONNREFUSED");
  await proxy.stop();
});
