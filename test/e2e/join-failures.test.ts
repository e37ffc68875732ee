import { afterAll, beforeAll, expect, test } from "vitest";
import { type Deployment, deployments, endpointSlices, type Pod, pods, type Service, services } from "#api";
import { isReady, readyPod, until } from "./client.ts";
import type { Host } from "./hosts.ts";
import { JoinedCluster, webSpec } from "./joined.ts";

/* Two machines, of which the second is killed, cut off and healed, and whose agent is killed. */

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

/** What a machine's network and mounts have of the cluster: without the order and the counters. */
async function traces(): Promise<Record<string, string[]>> {
  const lines = (text: string): string[] =>
    text
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean)
      .toSorted();
  const { bridge } = two.clusterNetwork();
  return {
    routes: lines(two.run("ip", "-4", "route", "show", "proto", "83")),
    neighbors: lines(two.run("ip", "-4", "neighbor", "show", "nud", "permanent")),
    forwards: lines(
      two.run("sh", "-c", `bridge fdb show dev skiffv-${bridge.slice(-8)} 2>/dev/null | grep dst || true`),
    ),
    interfaces: lines(two.run("ls", "/sys/class/net")),
    mounts: lines(two.run("sh", "-c", `cut -d' ' -f2 /proc/mounts | grep -F ${two.dataDir}`)),
    networks: lines(two.run("ls", "/run/netns")),
    tables: lines(two.run("nft", "list", "tables")),
    pods: await cluster.running("two"),
  };
}

/** The agent is started again by its parent: resolves when another one has reported its node. */
async function killAgent(): Promise<void> {
  const { agent } = two.running();
  two.run("kill", "-9", `${agent}`);
  await until(async () => two.running().agent !== agent);
}

test("an agent that is killed leaves everything as it was, and removes what no longer belongs to its node", async () => {
  const before = await traces();
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
  await until(async () => JSON.stringify(await traces()) === JSON.stringify(before), 60).catch(() => {});
  expect(await traces()).toEqual(before);
});

test("skiff join that is killed with its agent starts again over what both have left", async () => {
  const before = await traces();
  const { pid, agent } = two.running();
  two.run("kill", "-9", `${pid}`, `${agent}`);
  await cluster.join("two");
  await until(async () => JSON.stringify(await traces()) === JSON.stringify(before), 60).catch(() => {});
  expect(await traces()).toEqual(before);
  await until(() => cluster.isReady("two"));
});

test("an overlay that is deleted is created again", async () => {
  const before = await traces();
  two.run("ip", "link", "delete", `skiffv-${two.clusterNetwork().bridge.slice(-8)}`);
  await until(async () => JSON.stringify(await traces()) === JSON.stringify(before), 30).catch(() => {});
  expect(await traces()).toEqual(before);
});

test("an agent that is killed while pods start and end leaves no interface, mount, network or container", async () => {
  const before = await traces();
  for (let round = 0; round < 3; round++) {
    const names = Array.from({ length: 4 }, (_, index) => `churn-${round}-${index}`);
    for (const name of names) {
      const volumes = [{ name: "memory", emptyDir: { medium: "Memory" } }];
      const [container] = webSpec().containers;
      const spec = {
        nodeName: "two",
        terminationGracePeriodSeconds: 0,
        volumes,
        containers: [{ ...container, volumeMounts: [{ name: "memory", mountPath: "/memory" }] }],
      };
      await cluster.client.create(pods, { metadata: { name, namespace }, spec } as unknown as Pod);
    }
    // At a different moment of their starts in each round.
    await until(async () => {
      const { items } = await cluster.client.list(pods, { namespace });
      return items.filter((pod) => names.includes(pod.metadata.name ?? "") && isReady(pod)).length >= round;
    });
    await killAgent();
    for (const name of names) await cluster.client.delete(pods, { namespace, name });
    if (round === 1) await killAgent();
    await until(async () => {
      const { items } = await cluster.client.list(pods, { namespace });
      return !items.some(({ metadata }) => names.includes(metadata.name ?? ""));
    });
  }
  await until(async () => JSON.stringify(await traces()) === JSON.stringify(before), 60).catch(() => {});
  expect(await traces()).toEqual(before);
}, 300_000);

/** A deployment of one pod, whose pod runs on the second machine. It leaves a lost node after a second. */
async function deployOnTwo(name: string): Promise<Pod> {
  const lost = ["not-ready", "unreachable"].map((state) => ({
    key: `node.kubernetes.io/${state}`,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds: 1,
  }));
  const labels = { deployment: name };
  const spec = (nodes: object) => ({
    ...{ replicas: 1, selector: { matchLabels: labels } },
    template: {
      metadata: { labels },
      spec: { ...webSpec(), terminationGracePeriodSeconds: 1, tolerations: lost, affinity: nodes },
    },
  });
  const preferred = {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        {
          weight: 100,
          preference: { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: ["two"] }] },
        },
      ],
    },
  };
  await cluster.client.create(deployments, {
    metadata: { name, namespace },
    spec: spec(preferred),
  } as unknown as Deployment);
  return until(async () => {
    const [pod] = await podsOf(name);
    return pod && isReady(pod) && pod;
  });
}
const podsOf = async (deployment: string): Promise<Pod[]> =>
  (await cluster.client.list(pods, { namespace })).items.filter(
    ({ metadata }) => metadata.labels?.["deployment"] === deployment,
  );

/** The endpoints of the service that are ready. */
async function readyEndpoints(): Promise<number> {
  const { items } = await cluster.client.list(endpointSlices, { namespace });
  const own = items.filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === "web");
  return own.flatMap(({ endpoints = [] }) => endpoints).filter(({ conditions }) => conditions?.ready).length;
}

/** What happens while a machine is gone, whatever the reason. Resolves with the pod that replaces the lost one. */
async function isReplaced(name: string, lost: Pod): Promise<Pod> {
  await until(async () => !(await cluster.isReady("two")), 120);
  await until(async () => (await readyEndpoints()) === 1);
  await until(async () => answers(await seen(), ["web-one"]));
  expect(await seen(20)).toEqual(new Set(["web-one"]));
  const next = await until(async () => {
    const found = (await podsOf(name)).find((pod) => pod.metadata.uid !== lost.metadata.uid && isReady(pod));
    return found;
  });
  expect(next.spec?.nodeName).toBe("one");
  // Nothing confirms that the lost one has ended, so it is kept.
  expect((await podsOf(name)).some((pod) => pod.metadata.uid === lost.metadata.uid)).toBe(true);
  return next;
}

/** What happens when the machine has returned. */
async function isCleanedUp(name: string, next: Pod): Promise<void> {
  await until(() => cluster.isReady("two"), 120);
  await until(async () => (await podsOf(name)).length === 1);
  expect((await podsOf(name)).map(({ metadata }) => metadata.uid)).toEqual([next.metadata.uid]);
  await until(async () => {
    const running = (await cluster.running("two")).map((line) => line.split(" ")[0]);
    return running.length === 1 && running[0] === "web-two";
  });
  await until(async () => (await readyEndpoints()) === 2);
  await until(async () => answers(await seen(20), both));
}

test("a machine that is cut off loses its pods to others, and ends them when it returns", async () => {
  const lost = await deployOnTwo("cut");
  expect(lost.spec?.nodeName).toBe("two");
  const before = await traces();
  cluster.laboratory.connect("two", false);
  const next = await isReplaced("cut", lost);
  // Cut off, it keeps its containers: it cannot know that the pod has been replaced.
  const cut = await traces();
  for (const what of ["pods", "neighbors", "forwards"]) expect([what, cut[what]]).toEqual([what, before[what]]);
  // The kernel marks them while the cable is out.
  expect(cut["routes"]?.map((route) => route.replace(/ linkdown.*/, ""))).toEqual(before["routes"]);
  cluster.laboratory.connect("two", true);
  await isCleanedUp("cut", next);
  const after = await traces();
  expect(after["routes"]).toEqual(before["routes"]);
  expect(after["forwards"]).toEqual(before["forwards"]);
  // The pod that stayed is the same one.
  expect(before["pods"]).toEqual(expect.arrayContaining(after["pods"]!));
}, 400_000);

test("a machine that loses its power loses its pods to others, and starts what is still its own once", async () => {
  const lost = await deployOnTwo("power");
  const { metadata } = await cluster.client.get(pods, { namespace, name: "web-two" });
  await two.kill();
  const next = await isReplaced("power", lost);
  await two.boot();
  await cluster.join("two");
  await isCleanedUp("power", next);
  const again = await readyPod(cluster.client, "web-two");
  expect(again.metadata.uid).toBe(metadata.uid);
  const others = (await cluster.running("one")).map((line) => line.split(" ")[0]);
  expect(others).not.toContain("web-two");
  expect(cluster.fetchIn("web-one", await podIp("web-two"))).toContain("web-two");
}, 400_000);

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
