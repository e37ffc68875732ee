import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endpointSlices, nodes, type Pod, services } from "#api";
import type { HttpClient } from "#client";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { connect, createPod, readyPod, until } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { skiffDown } from "./skiff.ts";

let registry: Registry;
const clusters: Record<string, SkiffProcess> = {};

/** With the README's defaults except for the data folder, the port and the registry of images. */
const start = (dataDir?: string) => startSkiff(["--registry-mirror", `docker.io=http://${registry.address}`], dataDir);

beforeAll(async () => {
  registry = await startRegistry();
  clusters["one"] = await start();
  clusters["two"] = await start();
});
afterAll(async () => {
  for (const skiff of Object.values(clusters)) if (existsSync(skiff.dataDir)) await skiffDown(skiff);
  await registry?.stop();
});

const web = { containers: [{ name: "main", image: "nginx" }], terminationGracePeriodSeconds: 1 };
interface Network {
  name: string;
  bridge: string;
  podCidr: string;
  serviceCidr: string;
  cgroupRoot: string;
}
const networkOf = ({ dataDir }: SkiffProcess) =>
  JSON.parse(readFileSync(join(dataDir, "network.json"), "utf8")) as Network;
const greets = (pod: Pod) => greetsAt(pod.status?.podIP);
const greetsAt = (address = "") =>
  fetch(`http://${address}/`, { signal: AbortSignal.timeout(2000) }).then(
    async (answer) => (await answer.text()).includes("Welcome to nginx"),
    () => false,
  );
const identity = ({ status }: Pod) => [status?.podIP, status?.containerStatuses?.[0]?.containerID];

async function withClient<T>(name: string, act: (client: HttpClient) => Promise<T>): Promise<T> {
  const client = connect(clusters[name]!.dataDir);
  try {
    return await act(client);
  } finally {
    client.close();
  }
}

const pods: Record<string, Pod> = {};

test("pods of both clusters are reached, in blocks that do not overlap", async () => {
  for (const name of ["one", "two"]) {
    pods[name] = await withClient(name, async (client) => {
      await createPod(client, "web", web);
      return readyPod(client, "web");
    });
  }
  for (const name of ["one", "two"]) expect(await until(() => greets(pods[name]!))).toBe(true);
  const [one, two] = [networkOf(clusters["one"]!), networkOf(clusters["two"]!)];
  expect(one.podCidr).not.toBe(two.podCidr);
  expect(one.bridge).not.toBe(two.bridge);
});

const addresses: Record<string, string> = {};

test("services of both clusters are reached, in blocks that do not overlap", async () => {
  for (const name of ["one", "two"]) {
    await withClient(name, async (client) => {
      const metadata = { namespace: "default", name: "web" };
      const ports = [{ port: 80, protocol: "TCP" }];
      const { spec } = await client.create(services, { metadata, spec: { ports } });
      addresses[name] = spec?.clusterIP ?? "";
      await client.create(endpointSlices, {
        metadata: { ...metadata, labels: { "kubernetes.io/service-name": "web" } },
        addressType: "IPv4",
        ports: [{ name: "", port: 80, protocol: "TCP" }],
        endpoints: [{ addresses: [pods[name]?.status?.podIP ?? ""] }],
      });
    });
  }
  for (const name of ["one", "two"]) expect(await until(() => greetsAt(addresses[name]))).toBe(true);
  const [one, two] = [networkOf(clusters["one"]!), networkOf(clusters["two"]!)];
  expect(one.serviceCidr).not.toBe(two.serviceCidr);
});

test.each(["one", "two"])("kill -9 of %s and its restart disturb neither cluster", async (name) => {
  const { process, dataDir } = clusters[name]!;
  process.kill("SIGKILL");
  await once(process, "exit");
  for (const each of ["one", "two"]) expect(await greets(pods[each]!)).toBe(true);
  for (const each of ["one", "two"]) expect(await greetsAt(addresses[each])).toBe(true);
  clusters[name] = await start(dataDir);
  for (const each of ["one", "two"]) {
    const now = await withClient(each, (client) => readyPod(client, "web"));
    expect(identity(now)).toEqual(identity(pods[each]!));
    expect(await greets(now)).toBe(true);
  }
});

test("a removed bridge is restored, and pods are reached again", async () => {
  const { bridge } = networkOf(clusters["one"]!);
  execFileSync("ip", ["link", "delete", bridge]);
  expect(await greets(pods["one"]!)).toBe(false);
  await until(() => greets(pods["one"]!), 30);
  expect(await greets(pods["two"]!)).toBe(true);
});

test("a bridge that cannot be created is reported, and restored as soon as it can be", async () => {
  const { bridge } = networkOf(clusters["one"]!);
  const state = () =>
    withClient("one", async (client) => {
      const [node] = (await client.list(nodes)).items;
      return node?.status?.conditions?.find(({ type }) => type === "NetworkUnavailable");
    });
  expect(await state()).toMatchObject({ status: "False", reason: "BridgeIsUp" });
  execFileSync("ip", ["link", "delete", bridge]);
  execFileSync("ip", ["link", "add", bridge, "type", "veth", "peer", "name", `p${bridge.slice(1)}`]);
  const down = await until(async () => {
    const now = await state();
    return now?.status === "True" && now;
  }, 30);
  expect(down).toMatchObject({ reason: "BridgeIsDown", message: expect.stringContaining("no bridge") });
  execFileSync("ip", ["link", "delete", bridge]);
  await until(async () => (await state())?.status === "False", 30);
  await until(() => greets(pods["one"]!), 30);
});

test("the end of one cluster leaves the other undisturbed, and nothing of its own", async () => {
  const { dataDir } = clusters["two"]!;
  const { name, bridge, cgroupRoot } = networkOf(clusters["two"]!);
  const given = () => readdirSync("/var/lib/cni/results").filter((file) => file.startsWith(`${name}-`));
  const namespaces = given().flatMap((file) => {
    const { result } = JSON.parse(readFileSync(join("/var/lib/cni/results", file), "utf8")) as {
      result: { interfaces: { sandbox?: string }[] };
    };
    return result.interfaces.flatMap(({ sandbox }) => (sandbox ? [sandbox] : []));
  });
  expect(namespaces.filter(existsSync)).toHaveLength(1);
  expect(existsSync(join("/sys/fs/cgroup/memory", cgroupRoot)) || existsSync(join("/sys/fs/cgroup", cgroupRoot))).toBe(
    true,
  );
  await skiffDown(clusters["two"]!);
  expect(existsSync(`/sys/class/net/${bridge}`)).toBe(false);
  expect(readFileSync("/proc/mounts", "utf8")).not.toContain(dataDir);
  expect(namespaces.filter(existsSync)).toEqual([]);
  expect(given()).toEqual([]);
  const groups = readdirSync("/sys/fs/cgroup").filter((tree) => existsSync(join("/sys/fs/cgroup", tree, cgroupRoot)));
  expect(groups).toEqual([]);
  expect(existsSync(join("/sys/fs/cgroup", cgroupRoot))).toBe(false);

  expect(await greets(pods["one"]!)).toBe(true);
  await withClient("one", async (client) => {
    expect(identity(await readyPod(client, "web"))).toEqual(identity(pods["one"]!));
    await createPod(client, "another", web);
    expect(await greets(await readyPod(client, "another"))).toBe(true);
  });
  // Its block is free again.
  clusters["three"] = await start();
  expect(networkOf(clusters["three"]).bridge).not.toBe(bridge);
});

test("the end of a cluster whose containerd has crashed leaves no container running", async () => {
  const { dataDir, process: up } = clusters["one"]!;
  const running = JSON.parse(readFileSync(join(dataDir, "running.json"), "utf8")) as { agent: number };
  up.kill("SIGKILL");
  const ended = (pid: number) => async () => !existsSync(`/proc/${pid}`);
  await until(ended(running.agent));
  const config = join(dataDir, "agents", "containerd", "containerd", "config.toml");
  const containerd = readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    const words = existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0") : [];
    return words[0]?.endsWith("containerd") && words[2] === config;
  });
  expect(containerd).toHaveLength(1);
  process.kill(Number(containerd[0]), "SIGKILL");
  await until(ended(Number(containerd[0])));
  expect(await greets(pods["one"]!)).toBe(true);
  await skiffDown(clusters["one"]!);
  expect(await greets(pods["one"]!)).toBe(false);
  expect(readFileSync("/proc/mounts", "utf8")).not.toContain(dataDir);
});
