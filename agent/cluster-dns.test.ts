import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { decodeMessage, encodeMessage, parseName } from "#agent/dns";
import { Redirects } from "#agent/network";
import { endpointSlices, namespaces, services } from "#api";
import { silentLog, systemClock, systemRandom } from "#base";
import { openCluster } from "#test/cluster";
import { ClusterDns } from "./cluster-dns.ts";
import { ServiceList } from "./service-list.ts";

const address = "127.0.0.1";
const kubeDns = { namespace: "kube-system", name: "kube-dns" };

async function ask(port: number, name: string): Promise<string[] | number> {
  const socket = createSocket("udp4");
  const question = { name: parseName(name)!, type: 1, class: 1 };
  const query = { id: 1, flags: 0x0100, question, answers: [], authorities: [], additionals: [] };
  socket.send(encodeMessage(query), port, address);
  const [packet] = (await once(socket, "message")) as [Buffer];
  socket.close();
  const { flags, answers } = decodeMessage(packet)!;
  return (flags & 15) === 0 ? answers.map(({ data }) => [...data.head].join(".")) : flags & 15;
}

async function open() {
  const cluster = await openCluster();
  const { client } = cluster;
  const signal = new AbortController().signal;
  const list = new ServiceList({ client, log: silentLog, withSlices: true, signal });
  const listed = await list.start();
  const shared = { client, services: list, clock: systemClock, random: systemRandom, log: silentLog, signal };
  const folder = mkdtempSync(join(tmpdir(), "skiff-dns-"));
  const resolvConf = join(folder, "resolv.conf");
  writeFileSync(resolvConf, `nameserver 10.96.0.10\nnameserver ${address}\n`);
  const redirects = new Redirects();
  const dns = new ClusterDns({ ...shared, address, redirects, port: 0, resolvConf });
  const running = await dns.start();
  const close = async () => {
    await running.stop();
    await listed.stop();
    await cluster.close();
    rmSync(folder, { recursive: true });
  };
  return { cluster, client, dns, redirects, port: dns.listener!.port, close };
}

test("answers from the cluster's objects, and follows their changes", async () => {
  const { cluster, client, port, close } = await open();
  expect(await ask(port, "kubernetes.default.svc.cluster.local")).toEqual(["10.96.0.1"]);
  expect(await ask(port, "kube-dns.kube-system.svc.cluster.local")).toEqual(["10.96.0.10"]);
  expect(await ask(port, "web.shop.svc.cluster.local")).toBe(3);
  await client.create(namespaces, { metadata: { name: "shop" } });
  await client.create(services, { metadata: { namespace: "shop", name: "web" }, spec: { clusterIP: "None" } });
  await client.create(endpointSlices, {
    metadata: { namespace: "shop", name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.1.2.3"], hostname: "one" }],
    ports: [],
  });
  const answered = async (name: string, expected: unknown) =>
    cluster.until(async () => JSON.stringify(await ask(port, name)) === JSON.stringify(expected));
  await answered("one.web.shop.svc.cluster.local", ["10.1.2.3"]);
  await client.delete(endpointSlices, { namespace: "shop", name: "web-1" });
  await answered("one.web.shop.svc.cluster.local", 3);
  await client.delete(services, { namespace: "shop", name: "web" });
  await answered("web.shop.svc.cluster.local", 3);
  await client.delete(namespaces, { name: "shop" });
  await answered("1-2-3-4.shop.pod.cluster.local", 3);
  await close();
});

test("does not forward to its own service", async () => {
  const { port, close } = await open();
  expect(await ask(port, "www.example.test")).toBe(2);
  await close();
});

test("pods use the service's address where the node has a proxy, and no address that resolvers cannot use", async () => {
  const { cluster, client, dns, redirects, close } = await open();
  // Not port 53.
  expect(dns.servers()).toEqual([]);
  redirects.isServed = true;
  expect(dns.servers()).toEqual(["10.96.0.10"]);
  await client.delete(services, kubeDns);
  await cluster.until(async () => dns.servers().length === 0);
  await close();
});

test("the service leads to the node's server, unless it selects pods", async () => {
  const { cluster, client, dns, redirects, close } = await open();
  const found = () => [53, 54].flatMap((port) => redirects.find("kube-system/kube-dns", port, "UDP") ?? []);
  expect(found()).toEqual([dns.listener]);
  expect(redirects.find("kube-system/kube-dns", 53, "TCP")).toEqual(dns.listener);
  const change = async (selector: Record<string, string>) => {
    const service = await client.get(services, kubeDns);
    await client.update(services, { ...service, spec: { ...service.spec, selector } });
  };
  await change({ "k8s-app": "kube-dns" });
  await cluster.until(async () => found().length === 0);
  await change({});
  await cluster.until(async () => found().length === 1);
  await close();
});
