import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EndpointSlice, endpointSlices, events, type Pod, pods, type Service, services } from "#api";
import type { HttpClient } from "#client";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { connect, createPod, isReady, readyPod, until } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { skiffDown } from "./skiff.ts";

let registry: Registry;
let skiff: SkiffProcess;
let client: HttpClient;

const namespace = "default";
const hostIp = Object.entries(networkInterfaces())
  .filter(([name]) => !name.startsWith("skiff-"))
  .flatMap(([, list]) => list ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)!.address;

async function start(mode: string): Promise<void> {
  registry = await startRegistry();
  const mirror = `docker.io=http://${registry.address}`;
  skiff = await startSkiff(["--registry-mirror", mirror, "--proxy-mode", mode]);
  client = connect(skiff.dataDir);
  await createPod(client, "client", { terminationGracePeriodSeconds: 0, containers: [sleeping] });
  for (const name of ["web-1", "web-2"]) await createWeb(name);
  for (const name of ["client", "web-1", "web-2"]) await readyPod(client, name);
}

const sleeping = { name: "main", image: "busybox", command: ["sleep", "1000"] };
/** A pod that answers with its own name. */
const createWeb = (name: string): Promise<Pod> => {
  const script = "mkdir /www && hostname >/www/index.html && exec httpd -f -p 8080 -h /www";
  const readinessProbe = { httpGet: { port: 8080 }, periodSeconds: 1 };
  const containers = [{ name: "main", image: "busybox", command: ["sh", "-c", script], readinessProbe }];
  const labels = { app: "web", pod: name };
  const spec = { terminationGracePeriodSeconds: 0, containers };
  return client.create(pods, { metadata: { name, namespace, labels }, spec } as unknown as Pod);
};
const createService = (name: string, spec: object): Promise<Service> => {
  const ports = [{ port: 80, targetPort: 8080 }];
  return client.create(services, {
    metadata: { name, namespace },
    spec: { selector: { app: "web" }, ports, ...spec },
  } as unknown as Service);
};

/** The answer's body, by a connection of its own; the error's code where there is none. */
const fetched = (address: string, port = 80): Promise<string> =>
  new Promise((resolve) => {
    const request = get({ host: address, port, agent: false, timeout: 3000 }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve(body.trim()));
    });
    request.on("timeout", () => request.destroy(Object.assign(new Error(), { code: "TIMEOUT" })));
    request.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
const networkOf = () =>
  JSON.parse(readFileSync(join(skiff.dataDir, "network.json"), "utf8")) as { name: string; bridge: string };
/** The same from the network of a pod. */
function fetchedIn(pod: string, address: string, port = 80): string {
  const results = "/var/lib/cni/results";
  const found = readdirSync(results)
    .filter((file) => file.startsWith(`${networkOf().name}-`))
    .map((file) => JSON.parse(readFileSync(join(results, file), "utf8")) as CniResult)
    .find(({ cniArgs }) => cniArgs.some(([name, value]) => name === "K8S_POD_NAME" && value === pod));
  const sandbox = found?.result.interfaces.find(({ sandbox }) => sandbox)?.sandbox ?? "";
  const code = `fetch("http://${address}:${port}/", { signal: AbortSignal.timeout(3000) })
    .then(async (answer) => console.log(await answer.text()), ({ cause }) => console.log(cause?.code))`;
  return execFileSync("nsenter", [`--net=${sandbox}`, process.execPath, "-e", code], { encoding: "utf8" }).trim();
}
interface CniResult {
  cniArgs: [string, string][];
  result: { interfaces: { sandbox?: string }[] };
}
const addressOf = ({ spec }: Service): string => spec?.clusterIP ?? "";
/** Asks until each of these answers has been seen. */
const answersWith = (address: string, port: number, expected: string[]): Promise<boolean> => {
  const seen = new Set<string>();
  return until(async () => {
    seen.add(await fetched(address, port));
    return expected.every((each) => seen.has(each));
  });
};

/** Whether there are rules of a cluster: of nftables, and of iptables. */
function rulesOf(bridge: string): [boolean, boolean] {
  const said = (program: string, ...args: string[]) => execFileSync(program, args, { encoding: "utf8" });
  const prefix = createHash("sha256").update(bridge).digest("hex").slice(0, 6);
  return [said("nft", "list", "tables").includes(bridge), said("iptables-save").includes(`S${prefix}-`)];
}

const rulesText = (mode: string): string => {
  const [program = "", ...args] =
    mode === "iptables" ? ["iptables-save"] : ["nft", "list", "table", "ip", networkOf().bridge];
  return execFileSync(program, args, { encoding: "utf8", maxBuffer: 2 ** 28 });
};
/** The services' addresses in the rules. */
function addressesIn(mode: string): string[] {
  const text = rulesText(mode);
  if (mode !== "iptables") {
    const set = /set cluster-ips \{[^}]*elements = \{([^}]*)\}/.exec(text)?.[1] ?? "";
    return (set.match(/[\d.]+/g) ?? []).toSorted();
  }
  const prefix = createHash("sha256").update(networkOf().bridge).digest("hex").slice(0, 6);
  const found = [...text.matchAll(new RegExp(`^-A S${prefix}-SERVICES -d ([\\d.]+)/32`, "gm"))];
  return [...new Set(found.map(([, address = ""]) => address))].toSorted();
}

describe.each(["nftables", "iptables", "userspace"])("proxy mode %s", (mode) => {
  beforeAll(() => start(mode));
  afterAll(async () => {
    client?.close();
    if (skiff && existsSync(skiff.dataDir)) await skiffDown(skiff);
    await registry?.stop();
  });

  test("a service is reached by its cluster address, from the host and from a pod", async () => {
    const web = addressOf(await createService("web", {}));
    await answersWith(web, 80, ["web-1", "web-2"]);
    await until(async () => fetchedIn("client", web) === "web-1");
    await until(async () => fetchedIn("client", web) === "web-2");
  });

  test("a pod reaches itself by its own service", async () => {
    const own = addressOf(await createService("own", { selector: { pod: "web-1" } }));
    await until(async () => (await fetched(own)) === "web-1");
    expect(fetchedIn("web-1", own)).toBe("web-1");
  });

  test("a node port is reached at the node's address, from the host and from a pod", async () => {
    const { spec } = await createService("port", { type: "NodePort" });
    const nodePort = spec?.ports?.[0]?.nodePort ?? 0;
    await answersWith(hostIp, nodePort, ["web-1", "web-2"]);
    expect(fetchedIn("client", hostIp, nodePort)).toMatch(/^web-[12]$/);
  });

  test("a service without endpoints and a port that it does not have are refused", async () => {
    const none = addressOf(await createService("none", { selector: { app: "absent" } }));
    await until(async () => (await fetched(none)) === "ECONNREFUSED");
    expect(fetchedIn("client", none)).toBe("ECONNREFUSED");
    const { spec } = await client.get(services, { namespace, name: "web" });
    expect(await fetched(spec?.clusterIP ?? "", 81)).toBe("ECONNREFUSED");
  });

  test("a client with affinity stays with one endpoint", async () => {
    const sticky = addressOf(await createService("sticky", { sessionAffinity: "ClientIP" }));
    await until(async () => (await fetched(sticky)).startsWith("web-"));
    const answers = new Set<string>();
    for (let attempt = 0; attempt < 12; attempt++) answers.add(await fetched(sticky));
    expect(answers.size).toBe(1);
  });

  test("the health check port reports local endpoints", async () => {
    const { spec } = await createService("balanced", { type: "LoadBalancer", externalTrafficPolicy: "Local" });
    const port = spec?.healthCheckNodePort ?? 0;
    const answer = await until(async () => {
      const text = await fetched(hostIp, port);
      return text.includes('"localEndpoints": 2') && text;
    });
    expect(JSON.parse(answer)).toEqual({
      service: { namespace, name: "balanced" },
      localEndpoints: 2,
      serviceProxyHealthy: true,
    });
  });

  test("a UDP client moves to the endpoint that replaces its own", async () => {
    const servers = ["one", "two"].map((name) => {
      const server = createSocket("udp4");
      server.on("message", (_, from) => server.send(name, from.port, from.address));
      server.bind(0);
      return server;
    });
    await Promise.all(servers.map((server) => once(server, "listening")));
    const udp = await createService("udp", { selector: undefined, ports: [{ port: 53, protocol: "UDP" }] });
    const slice = (port: number) => ({
      metadata: { name: "udp-1", namespace, labels: { "kubernetes.io/service-name": "udp" } },
      addressType: "IPv4",
      ports: [{ name: "", port, protocol: "UDP" }],
      endpoints: [{ addresses: [hostIp] }],
    });
    await client.create(endpointSlices, slice(servers[0]!.address().port) as EndpointSlice);
    const socket = createSocket("udp4");
    let last = "";
    socket.on("message", (text) => {
      last = text.toString();
    });
    socket.on("error", () => {});
    const says = (expected: string) =>
      until(async () => {
        socket.send("hello", 53, addressOf(udp));
        return last === expected;
      });
    await says("one");
    await client.patch(
      endpointSlices,
      { namespace, name: "udp-1" },
      { ports: slice(servers[1]!.address().port).ports },
      { type: "merge" },
    );
    await says("two");
    for (const each of [socket, ...servers]) each.close();
  });

  test("a deleted pod receives no more connections", async () => {
    const { spec } = await client.get(services, { namespace, name: "web" });
    await client.delete(pods, { namespace, name: "web-1" });
    await until(
      async () => !(await client.list(pods, { namespace })).items.some((pod) => pod.metadata.name === "web-1"),
    );
    const { spec: own } = await client.get(services, { namespace, name: "own" });
    await until(async () => (await fetched(own?.clusterIP ?? "")) === "ECONNREFUSED");
    // The slices of the two services change one after the other.
    await until(async () => {
      const answers: string[] = [];
      for (let attempt = 0; attempt < 10; attempt++) answers.push(await fetched(spec?.clusterIP ?? ""));
      return answers.every((answer) => answer === "web-2");
    });
  });

  test("services work while the agent is gone, and follow changes after its restart", async () => {
    const { spec } = await client.get(services, { namespace, name: "web" });
    const agent = () =>
      (JSON.parse(readFileSync(join(skiff.dataDir, "running.json"), "utf8")) as { agent: number }).agent;
    const first = agent();
    process.kill(first, "SIGKILL");
    // The listeners of userspace end with the agent.
    if (mode !== "userspace") expect(await fetched(spec?.clusterIP ?? "")).toBe("web-2");
    await createWeb("web-3");
    await until(async () => agent() !== first);
    await until(async () => isReady(await client.get(pods, { namespace, name: "web-3" })));
    await answersWith(spec?.clusterIP ?? "", 80, ["web-2", "web-3"]);
  });

  test("an agent that is killed at any moment leaves no rule of a deleted service", async () => {
    const agent = () =>
      (JSON.parse(readFileSync(join(skiff.dataDir, "running.json"), "utf8")) as { agent: number }).agent;
    for (const milliseconds of [0, 20, 30, 60]) {
      const killed = agent();
      const name = `killed-${milliseconds}`;
      await createService(name, { type: "NodePort", sessionAffinity: "ClientIP", externalTrafficPolicy: "Local" });
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      process.kill(killed, "SIGKILL");
      await client.delete(services, { namespace, name });
      await until(async () => agent() !== killed);
    }
    const { items } = await client.list(services);
    const wanted = items.map(({ spec }) => spec?.clusterIP ?? "").toSorted();
    await until(async () => addressesIn(mode).join() === wanted.join());
    expect(rulesText(mode)).not.toContain("killed-");
  });

  test("a node port that a process of the node uses is reported by one event, and leads to the service", async () => {
    const other = createServer((_, answer) => answer.end("other"));
    await new Promise<void>((resolve) => other.listen(0, "0.0.0.0", resolve));
    const { port } = other.address() as AddressInfo;
    const nodePort = 30_000 + (port % 2000);
    const taken = createServer((_, answer) => answer.end("taken"));
    await new Promise<void>((resolve) => taken.listen(nodePort, "0.0.0.0", resolve));
    await createService("taken", { type: "NodePort", ports: [{ port: 80, targetPort: 8080, nodePort }] });
    const found = await until(async () => {
      const { items } = await client.list(events, { namespace });
      const own = items.filter(({ involvedObject }) => involvedObject?.name === "taken");
      return own.length > 0 && own;
    });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({
      type: "Warning",
      reason: "NodePortOccupied",
      message: expect.stringContaining(`uses node port ${nodePort}/TCP, which now leads to the service`),
    });
    await until(async () => (await fetched(hostIp, nodePort)).startsWith("web-"));
    for (const each of [other, taken]) each.close();
  });

  test("skiff down leaves no rule", async () => {
    const before = rulesOf(networkOf().bridge);
    expect(before).toEqual(mode === "iptables" ? [false, true] : [true, false]);
    const { bridge } = networkOf();
    client.close();
    await skiffDown(skiff);
    expect(rulesOf(bridge)).toEqual([false, false]);
  });
});
