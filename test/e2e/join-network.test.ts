import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Node, nodes, type Pod, pods, type Service, services } from "#api";
import { type HttpClient, httpClient } from "#client";
import { readyPod, until } from "./client.ts";
import { type Host, Laboratory, ownAddress } from "./hosts.ts";
import { type Registry, startRegistry } from "./registry.ts";

/* Three machines: the first two in one network, the third in another one. */

let laboratory: Laboratory;
let registry: Registry;
let client: HttpClient;
let server: string;
const hosts: Record<string, Host> = {};
const addresses = { one: "198.18.1.1", two: "198.18.1.2", three: "198.18.2.3" };
const names = Object.keys(addresses);

beforeAll(async () => {
  laboratory = await Laboratory.open();
  registry = await startRegistry(ownAddress);
  for (const [name, address] of Object.entries(addresses)) hosts[name] = await laboratory.host(name, address);
  const { one, ...others } = hosts;
  const mirror = ["--registry-mirror", `docker.io=http://${registry.address}`];
  await one!.start("Skiff is ready", "up", "--bind", "0.0.0.0", "--node-name", "one", ...mirror);
  const { text } = await one!.finished("token", "create");
  const words = text.trim().split(" ").slice(1);
  server = words[words.indexOf("--server") + 1]!;
  const joined = Object.values(others).map((host) =>
    host.start("This machine is the node", ...words, "--node-name", host.name, ...mirror, ...modes[host.name]!),
  );
  await Promise.all(joined);
  const pki = (file: string) => readFileSync(join(one!.dataDir, "pki", file), "utf8");
  client = httpClient({ server, ca: pki("ca.crt"), certificate: { cert: pki("admin.crt"), key: pki("admin.key") } });
  for (const name of names) await until(() => isReadyNode(name), 120);
  for (const name of names) await createWeb(name);
  for (const name of names) webs[name] = await readyPod(client, `web-${name}`);
}, 300_000);
afterAll(async () => {
  client?.close();
  await laboratory?.close();
  await registry?.stop();
});

/** Both kinds of rules masquerade. */
const modes: Record<string, string[]> = { two: [], three: ["--proxy-mode", "iptables"] };
const webs: Record<string, Pod> = {};

const isReadyNode = async (name: string): Promise<Node | false> => {
  const node = await client.get(nodes, { name }).catch(() => undefined);
  const isReady = node?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
  return isReady === true && node!;
};

/** A pod on a node that answers with its own name and its caller's address. */
function createWeb(node: string): Promise<Pod> {
  const head = 'printf "Content-Type: text/plain\\r\\n\\r\\n"';
  const answer = `#!/bin/sh\n${head}\necho $(hostname) $REMOTE_ADDR\n`;
  const script = `mkdir -p /www/cgi-bin && echo '${answer}' >/www/cgi-bin/who && chmod +x /www/cgi-bin/who &&
    head -c 3000000 /dev/zero >/www/large && exec httpd -f -p 8080 -h /www`;
  const readinessProbe = { httpGet: { port: 8080, path: "/cgi-bin/who" }, periodSeconds: 1 };
  const containers = [{ name: "main", image: "busybox", command: ["sh", "-c", script], readinessProbe }];
  const metadata = { name: `web-${node}`, namespace: "default", labels: { app: "web", on: node } };
  const spec = { nodeName: node, terminationGracePeriodSeconds: 0, containers };
  return until(() => client.create(pods, { metadata, spec } as unknown as Pod).catch(() => undefined));
}

/** The output of a command in the pod of a node; its error when it fails. */
function inPod(node: string, ...command: string[]): string {
  const { kubeconfig } = { kubeconfig: join(hosts["one"]!.dataDir, "kubeconfig") };
  const words = ["--kubeconfig", kubeconfig, "--server", server, "exec", `web-${node}`, "--", ...command];
  try {
    return execFileSync(process.env["KUBECTL"] ?? "kubectl", words, {
      encoding: "utf8",
      timeout: 10_000,
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  } catch (error) {
    return (error as { stderr?: string }).stderr ?? String(error);
  }
}
const fetchIn = (node: string, address: string, port = 8080): string =>
  inPod(node, "wget", "-q", "-O-", `http://${address}:${port}/cgi-bin/who`);
const ipOf = (node: string): string => webs[node]?.status?.podIP ?? "";
const pairs = names.flatMap((from) => names.filter((to) => to !== from).map((to) => [from, to] as const));

test.each(pairs)("a pod of %s reaches a pod of %s, which sees its address", async (from, to) => {
  await until(async () => fetchIn(from, ipOf(to)) === `web-${to} [::ffff:${ipOf(from)}]`, 30).catch(() => {});
  expect(fetchIn(from, ipOf(to))).toBe(`web-${to} [::ffff:${ipOf(from)}]`);
});

test("a large answer passes the overlay", () => {
  expect(inPod("one", "sh", "-c", `wget -q -O- http://${ipOf("three")}:8080/large | wc -c`)).toBe("3000000");
});

test("a pod reaches addresses outside of the cluster with its node's address", () => {
  for (const name of names) {
    expect(inPod(name, "wget", "-q", "-O-", `http://${registry.address}/v2/`)).toBe("{}");
  }
});

test("the machines themselves reach pods of all nodes", () => {
  for (const from of names) {
    for (const to of names) {
      const code = `fetch("http://${ipOf(to)}:8080/cgi-bin/who").then(async (answer) => console.log(await answer.text()))`;
      expect(hosts[from]!.run(process.execPath, "-e", code)).toContain(`web-${to}`);
    }
  }
});

test("a service is reached by its address, by its name and at node ports, on all nodes", async () => {
  const { spec } = await client.create(services, {
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
    for (const address of Object.values(addresses)) await reaches(from, address, nodePort);
  }
}, 300_000);

test("the API is reached from pods of all nodes by its service, with the cluster's certificate", async () => {
  const ca = join(hosts["one"]!.dataDir, "pki", "ca.crt");
  const { spec } = await client.get(services, { namespace: "default", name: "kubernetes" });
  const code = `fetch("https://${spec?.clusterIP}/livez").then(async (answer) => console.log(await answer.text()))`;
  for (const name of names) {
    const env = [`NODE_EXTRA_CA_CERTS=${ca}`, process.execPath, "-e", code];
    expect(hosts[name]!.inNetworkOf(`web-${name}`, "env", ...env)).toBe("ok");
  }
});

test("each node has the address of its machine in the network, and a range of its own", async () => {
  const found = await Promise.all(names.map(async (name) => (await isReadyNode(name)) as Node));
  const internal = found.map(({ status }) => status?.addresses?.find(({ type }) => type === "InternalIP")?.address);
  expect(internal).toEqual(Object.values(addresses));
  expect(new Set(found.map(({ spec }) => spec?.podCIDR)).size).toBe(names.length);
});
