import { afterAll, beforeAll, expect, test } from "vitest";
import { type Pod, pods, type Service, services } from "#api";
import { sleep, systemClock } from "#base";
import { Dice } from "#test/make";
import { readyPod, until } from "./client.ts";
import type { Host } from "./hosts.ts";
import { JoinedCluster, webSpec } from "./joined.ts";
import { tracesOf } from "./traces.ts";

/* Two machines, and what the agent of the second leaves when it is killed. */

let cluster: JoinedCluster;
let two: Host;
const namespace = "default";

beforeAll(async () => {
  // The overlay is more that can be left behind.
  cluster = await JoinedCluster.open(
    { one: 1, two: 1 },
    {
      words: { one: ["--overlay", "always"], two: ["--overlay", "always"] },
    },
  );
  two = cluster.hosts["two"]!;
  for (const name of ["one", "two"]) await cluster.createWeb(name);
  for (const name of ["one", "two"]) await readyPod(cluster.client, `web-${name}`);
  const ports = [{ port: 80, targetPort: 8080 }];
  const { spec } = await cluster.client.create(services, {
    metadata: { name: "web", namespace },
    spec: { selector: { app: "web" }, ports },
  } as unknown as Service);
  service = spec?.clusterIP ?? "";
  await until(async () => answers(await seen(20), both));
  // The agent's own services, DNS and the API, lead to it as soon as they listen.
  await until(async () => {
    before = await traces();
    return !before["rules"]?.some((rule) => rule.endsWith("goto refuse"));
  });
}, 300_000);
afterAll(() => cluster?.close());

let service = "";
const both = ["web-one", "web-two"];

/** Whether these pods have answered, and nothing else: what failed is in the set by its error's first word. */
const answers = (found: Set<string>, names: readonly string[]): boolean =>
  found.size === names.length && names.every((name) => found.has(name));

/** The pods that answer a pod of the first machine at the service's address. */
async function seen(times = 10): Promise<Set<string>> {
  const found = new Set<string>();
  for (let time = 0; time < times; time++) found.add(cluster.fetchIn("web-one", service, 80).split(" ")[0] ?? "");
  return found;
}

const podIp = async (name: string): Promise<string> =>
  (await cluster.client.get(pods, { namespace, name })).status?.podIP ?? "";

const traces = () => tracesOf(cluster, two);
/** What the second machine has before anything fails. */
let before: Record<string, string[]> = {};

/** Waits until the second machine has what it had before. */
async function isAsBefore(seconds = 60): Promise<void> {
  await until(async () => JSON.stringify(await traces()) === JSON.stringify(before), seconds).catch(() => {});
  expect(await traces()).toEqual(before);
}

/** The agent is started again by its parent: resolves when another one has reported its node. */
async function killAgent(): Promise<void> {
  const { agent } = two.running();
  two.run("kill", "-9", `${agent}`);
  await until(async () => two.running().agent !== agent);
}

test("an agent that is killed leaves everything as it was, and removes what no longer belongs to its node", async () => {
  expect(before["routes"]).toHaveLength(1);
  expect(before["forwards"]).toHaveLength(1);
  const device = `skiffv-${two.clusterNetwork().bridge.slice(-8)}`;
  // As an agent leaves them that dies after a node has been deleted.
  two.run("ip", "route", "add", "10.244.250.0/24", "via", cluster.laboratory.routerAddress(1), "proto", "83");
  two.run("ip", "neighbor", "add", "10.244.250.0", "lladdr", "0a:58:0a:f4:fa:00", "dev", device, "nud", "permanent");
  two.run("bridge", "fdb", "add", "0a:58:0a:f4:fa:00", "dev", device, "dst", cluster.laboratory.address(1, 9));
  await killAgent();
  // Packets need no agent.
  const ip = await podIp("web-two");
  expect(cluster.fetchIn("web-one", ip)).toContain("web-two");
  await isAsBefore();
});

test("skiff join that is killed with its agent starts again over what both have left", async () => {
  const { pid, agent } = two.running();
  two.run("kill", "-9", `${pid}`, `${agent}`);
  await cluster.join("two");
  await isAsBefore();
  await until(() => cluster.isReady("two"));
});

test("an overlay that is deleted is created again", async () => {
  two.run("ip", "link", "delete", `skiffv-${two.clusterNetwork().bridge.slice(-8)}`);
  await isAsBefore(30);
});

/** How often the agent is killed: SKIFF_SEED repeats a run's choices. */
const kills = 20;
const seed = Number(process.env["SKIFF_SEED"] ?? Date.now() % 1_000_000);

const [webContainer] = webSpec().containers;
const churnPod = (name: string) => ({
  metadata: { name, namespace, labels: { app: "churn" } },
  spec: {
    nodeName: "two",
    terminationGracePeriodSeconds: 0,
    volumes: [
      { name: "memory", emptyDir: { medium: "Memory" } },
      { name: "disk", emptyDir: {} },
    ],
    containers: [
      {
        ...webContainer,
        volumeMounts: [
          { name: "memory", mountPath: "/memory" },
          { name: "disk", mountPath: "/disk", subPath: "part" },
        ],
      },
    ],
  },
});
const churnService = (name: string) => ({
  metadata: { name, namespace },
  spec: {
    ...{ type: "NodePort", selector: { app: "churn" }, sessionAffinity: "ClientIP" },
    ports: [
      { name: "tcp", port: 80, targetPort: 8080 },
      { name: "udp", port: 80, protocol: "UDP" },
    ],
  },
});

/** Creates and deletes pods and services until `isOver`, and then deletes what is left. */
async function churn(dice: Dice, isOver: () => boolean): Promise<void> {
  const names = new Set<string>();
  const remove = async (name: string) => {
    names.delete(name);
    await cluster.client.delete(pods, { namespace, name });
    await cluster.client.delete(services, { namespace, name });
  };
  for (let count = 0; !isOver(); count++) {
    const name = `churn-${count}`;
    names.add(name);
    await cluster.client.create(pods, churnPod(name) as unknown as Pod);
    await cluster.client.create(services, churnService(name) as unknown as Service);
    // More would have to wait for the processor.
    if (names.size > 4) await remove([...names][dice.below(names.size)]!);
    await sleep(systemClock, dice.below(1500));
  }
  for (const name of names) await remove(name);
  await until(async () => {
    const { items } = await cluster.client.list(pods, { namespace });
    return !items.some(({ metadata }) => metadata.labels?.["app"] === "churn");
  }, 120);
}

/** The agent's processes, whether they have reported their node or not. */
const agents = (): string[] =>
  two.run("sh", "-c", "grep -l agent/main.ts /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3 || true").split("\n");

test(`an agent that is killed ${kills} times while pods and services come and go leaves nothing of them, and its other pods alone (seed ${seed})`, async () => {
  const dice = new Dice(seed);
  let isOver = false;
  const churning = churn(new Dice(seed + 1), () => isOver);
  churning.catch(() => {});
  for (let kill = 0; kill < kills; kill++) {
    const [agent] = await until(async () => {
      const found = agents().filter(Boolean);
      return found.length > 0 && found;
    });
    await sleep(systemClock, dice.below(4000));
    // With its parent from time to time: the parent waits longer after each fall.
    const withParent = kill % 3 === 2;
    two.run("sh", "-c", `kill -9 ${withParent ? two.running().pid : ""} ${agent} 2>/dev/null || true`);
    if (withParent) await cluster.join("two");
  }
  isOver = true;
  await churning;
  await until(() => cluster.isReady("two"), 120);
  await isAsBefore(120);
}, 600_000);

test("skiff down on a joined machine leaves nothing, and the cluster keeps its node until it is deleted", async () => {
  const { bridge } = two.clusterNetwork();
  const { code, text } = await two.finished("down");
  expect([code, text]).toEqual([0, expect.stringContaining("The node two stays in the cluster of")]);
  const interfaces = two.run("ls", "/sys/class/net").split("\n").toSorted();
  expect(interfaces.filter((name) => name.startsWith("skiff") || name.startsWith("veth"))).toEqual([]);
  expect(two.run("ip", "-4", "route", "show", "proto", "83")).toBe("");
  expect(two.run("nft", "list", "tables")).not.toContain(bridge);
  expect(two.run("cat", "/proc/mounts")).not.toContain(`${two.dataDir}/agents`);
  expect(two.run("ls", "/run/netns")).toBe("");
  expect(await cluster.node("two")).toBeDefined();
});
