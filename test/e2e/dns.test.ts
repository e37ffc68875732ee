import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodeMessage, encodeMessage, type Message, textOf } from "#agent/dns";
import { namespaces, type Pod, pods, type Service, services } from "#api";
import type { HttpClient } from "#client";
import { kubectl, type Setting } from "../kubectl/runner.ts";
import { createPod, readyPod, until } from "./client.ts";
import { Machine } from "./machine.ts";

/*
 * Pods with real containers resolve names through the cluster DNS of their node: with busybox's nslookup, and with the
 * C library's resolver. Names outside of the cluster are answered by a server that this test runs.
 */

/** On the loopback, where no other server uses port 53. */
const outside = "127.53.53.53";
const outsideAddress = "192.0.2.80";

let machine: Machine;
let folder: string;
let client: HttpClient;
let forwarder: Socket;
const forwarded: string[] = [];
let setting: Setting;
let clusterIp: string;
let podIp: string;

/** Answers with one address for every name below `example.test`, and NXDOMAIN for others. */
function answerOf(query: Message): Message {
  const { question } = query;
  const name = textOf(question!.name).toLowerCase();
  forwarded.push(name);
  const isKnown = name.endsWith("example.test.");
  const data = { head: Buffer.from(outsideAddress.split(".").map(Number)), names: [], tail: Buffer.alloc(0) };
  const record = { name: question!.name, type: 1, class: 1, ttl: 60, data };
  return { ...query, flags: 0x8180 | (isKnown ? 0 : 3), answers: isKnown && question!.type === 1 ? [record] : [] };
}

async function startForwarder(): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.on("message", (packet, { port, address }) => {
    const query = decodeMessage(packet);
    if (query?.question) socket.send(encodeMessage(answerOf(query)), port, address);
  });
  socket.bind(53, outside);
  await once(socket, "listening");
  return socket;
}

const image = "nginx:latest";
const http = { name: "http", port: 80, targetPort: 80, protocol: "TCP" };

const createService = (name: string, spec: object, namespace = "default"): Promise<Service> =>
  client.create(services, { metadata: { name, namespace }, spec } as Service);

async function createObjects(): Promise<void> {
  await client.create(namespaces, { metadata: { name: "other" } });
  const web = await createService("web", { ports: [http] });
  clusterIp = web.spec?.clusterIP ?? "";
  await createService("web", { ports: [http] }, "other");
  await createService("db", { clusterIP: "None", selector: { app: "db" }, ports: [http] });
  await createService("alias", { type: "ExternalName", externalName: "www.example.test" });
  const metadata = { name: "db-0", namespace: "default", labels: { app: "db" } };
  const containers = [{ name: "main", image }];
  const spec = { hostname: "one", subdomain: "db", containers, terminationGracePeriodSeconds: 0 };
  await until(() =>
    client.create(pods, { metadata, spec } as unknown as Pod).catch((error: unknown) => {
      if (/service ?account/i.test(String(error))) return undefined;
      throw error;
    }),
  );
  await createPod(client, "client", {
    containers: [{ name: "main", image: "busybox:latest", command: ["sleep", "10000"] }],
    hostAliases: [{ ip: "192.0.2.7", hostnames: ["alias.test"] }],
    terminationGracePeriodSeconds: 0,
  });
  await Promise.all([readyPod(client, "client"), readyPod(client, "db-0")]);
  podIp = (await client.get(pods, { namespace: "default", name: "db-0" })).status?.podIP ?? "";
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skiff-dns-"));
  forwarder = await startForwarder();
  const resolvConf = join(folder, "resolv.conf");
  writeFileSync(resolvConf, `nameserver ${outside}\n`);
  machine = await Machine.open(["--resolv-conf", resolvConf]);
  ({ client, setting } = machine);
  await createObjects();
});

afterAll(async () => {
  await machine?.close();
  forwarder?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** The output of a command in the client's pod, whatever its exit code. */
const inPod = async (command: string): Promise<string> => {
  const { out, err } = await kubectl(setting, { run: `exec client -- sh -c '${command} 2>&1'` });
  return out + err;
};

/** Runs a command until its output matches: the endpoints may not be known yet. Throws with the last output. */
async function resolves(command: string, pattern: RegExp): Promise<void> {
  let out = "";
  await until(async () => {
    out = await inPod(command);
    return pattern.test(out);
  }, 30).catch(() => expect(out).toMatch(pattern));
}

test("the pod's resolv.conf leads to the cluster's DNS", async () => {
  const text = await inPod("cat /etc/resolv.conf");
  expect(text).toMatch(/^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local$/m);
  expect(text).toMatch(/^options ndots:5$/m);
  // The node redirects the service's address to its own server.
  const { spec } = await client.get(services, { namespace: "kube-system", name: "kube-dns" });
  expect(text.match(/^nameserver .*$/gm)).toEqual([`nameserver ${spec?.clusterIP}`]);
});

test("the C library's resolver finds services by short name, by namespace, and by full name", async () => {
  for (const name of ["web", "web.default", "web.default.svc", "web.default.svc.cluster.local."]) {
    await resolves(`ping -c 1 -W 1 ${name}`, new RegExp(`PING ${name.replaceAll(".", "\\.")} \\(${clusterIp}\\)`));
  }
  const { spec } = await client.get(services, { namespace: "other", name: "web" });
  expect(await inPod("ping -c 1 -W 1 web.other")).toContain(`PING web.other (${spec?.clusterIP})`);
  expect(await inPod("ping -c 1 -W 1 missing")).toMatch(/bad address/);
});

test("a headless service leads to its pods, under their host names too", async () => {
  for (const name of ["db", "one.db", "one.db.default.svc.cluster.local"]) {
    // Debian's static busybox crashes when its wget resolves a name.
    await resolves(`ping -c 1 -W 5 ${name}`, new RegExp(`\\(${podIp}\\)[^]*1 packets received`));
  }
  expect(await inPod("nslookup db.default.svc.cluster.local")).toContain(`Address: ${podIp}`);
});

test("nslookup finds SRV and PTR records", async () => {
  const service = "db.default.svc.cluster.local";
  await resolves(`nslookup -type=srv _http._tcp.${service}`, new RegExp(`service = 0 100 80 one\\.${service}`));
  await resolves(`nslookup ${podIp}`, new RegExp(`name = one\\.${service}`));
  await resolves(`nslookup ${clusterIp}`, /name = web\.default\.svc\.cluster\.local/);
});

test("names outside of the cluster come from the node's servers, directly and by an ExternalName service", async () => {
  expect(await inPod("ping -c 1 -W 1 www.example.test")).toContain(`PING www.example.test (${outsideAddress})`);
  expect(await inPod("ping -c 1 -W 1 alias")).toContain(`(${outsideAddress})`);
  expect(forwarded).toContain("www.example.test.");
  // Names of the cluster do not leave it.
  expect(forwarded.filter((name) => name.endsWith("cluster.local."))).toEqual([]);
});

test("packets that are no DNS do not end the agent", async () => {
  const before = machine.agent;
  const server = /^nameserver (\S+)$/m.exec(await inPod("cat /etc/resolv.conf"))![1]!;
  for (const bytes of ["x", "not DNS at all, but longer than a header", "\\000\\001\\001\\000\\377\\377\\377\\377"]) {
    await inPod(`printf "${bytes}" | nc -u -w 1 ${server} 53`);
    await inPod(`printf "${bytes}" | nc -w 1 ${server} 53`);
  }
  await resolves("ping -c 1 -W 1 web", new RegExp(`\\(${clusterIp}\\)`));
  expect(machine.agent).toBe(before);
});

test("/etc/hosts has the pod's names and its aliases", async () => {
  const { out } = await kubectl(setting, { run: "exec db-0 -- cat /etc/hosts" });
  expect(out).toMatch(new RegExp(`^${podIp}\tone\\.db\\.default\\.svc\\.cluster\\.local\tone$`, "m"));
  expect(await inPod("ping -c 1 -W 1 alias.test")).toContain("PING alias.test (192.0.2.7)");
});
