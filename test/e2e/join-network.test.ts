import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Pod, type Service, services } from "#api";
import { readyPod, until } from "./client.ts";
import { JoinedCluster } from "./joined.ts";

/* Three machines: the first two in one network, the third in another one. Both kinds of rules masquerade. */

let cluster: JoinedCluster;
const networks = { one: 1, two: 1, three: 2 } as const;
const names = Object.keys(networks);
const webs: Record<string, Pod> = {};

beforeAll(async () => {
  cluster = await JoinedCluster.open(networks, { words: { three: ["--proxy-mode", "iptables"] } });
  for (const name of names) await cluster.createWeb(name);
  for (const name of names) webs[name] = await readyPod(cluster.client, `web-${name}`);
}, 300_000);
afterAll(() => cluster?.close());

const fetchIn = (node: string, address: string, port?: number): string => cluster.fetchIn(`web-${node}`, address, port);
const ipOf = (node: string): string => webs[node]?.status?.podIP ?? "";
const machineAddresses = () => names.map((name) => cluster.hosts[name]!.address);
const pairs = names.flatMap((from) => names.filter((to) => to !== from).map((to) => [from, to] as const));

test.each(pairs)("a pod of %s reaches a pod of %s, which sees its address", async (from, to) => {
  await until(async () => fetchIn(from, ipOf(to)) === `web-${to} [::ffff:${ipOf(from)}]`, 30).catch(() => {});
  expect(fetchIn(from, ipOf(to))).toBe(`web-${to} [::ffff:${ipOf(from)}]`);
});

test("a large answer passes the overlay", () => {
  expect(cluster.inPod("web-one", "sh", "-c", `wget -q -O- http://${ipOf("three")}:8080/large | wc -c`)).toBe(
    "3000000",
  );
});

test("a pod reaches addresses outside of the cluster with its node's address", () => {
  for (const name of names) {
    expect(cluster.inPod(`web-${name}`, "wget", "-q", "-O-", `http://${cluster.registry.address}/v2/`)).toBe("{}");
  }
});

test("the machines themselves reach pods of all nodes", () => {
  for (const from of names) {
    for (const to of names) {
      const code = `fetch("http://${ipOf(to)}:8080/cgi-bin/who").then(async (answer) => console.log(await answer.text()))`;
      expect(cluster.hosts[from]!.run(process.execPath, "-e", code)).toContain(`web-${to}`);
    }
  }
});

test("a service is reached by its address, by its name and at node ports, on all nodes", async () => {
  const { spec } = await cluster.client.create(services, {
    metadata: { name: "web", namespace: "default" },
    spec: { type: "NodePort", selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
  } as unknown as Service);
  const nodePort = spec?.ports?.[0]?.nodePort ?? 0;
  const reaches = async (from: string, address: string, port: number) => {
    const seen = new Set<string>();
    await until(async () => {
      seen.add(fetchIn(from, address, port).split(" ")[0]!);
      return names.every((name) => seen.has(`web-${name}`));
    });
  };
  for (const from of names) {
    await reaches(from, spec?.clusterIP ?? "", 80);
    await reaches(from, "web.default.svc.cluster.local", 80);
    for (const address of machineAddresses()) await reaches(from, address, nodePort);
  }
}, 300_000);

test("the API is reached from pods of all nodes by its service, with the cluster's certificate", async () => {
  const ca = join(cluster.hosts["one"]!.dataDir, "pki", "ca.crt");
  const { spec } = await cluster.client.get(services, { namespace: "default", name: "kubernetes" });
  const code = `fetch("https://${spec?.clusterIP}/livez").then(async (answer) => console.log(await answer.text()))`;
  for (const name of names) {
    const env = [`NODE_EXTRA_CA_CERTS=${ca}`, process.execPath, "-e", code];
    expect(cluster.hosts[name]!.inNetworkOf(`web-${name}`, "env", ...env)).toBe("ok");
  }
});

test("each node has the address of its machine in the network, and a range of its own", async () => {
  const found = await Promise.all(names.map((name) => cluster.node(name)));
  const internal = found.map(({ status }) => status?.addresses?.find(({ type }) => type === "InternalIP")?.address);
  expect(internal).toEqual(machineAddresses());
  expect(new Set(found.map(({ spec }) => spec?.podCIDR)).size).toBe(names.length);
});
