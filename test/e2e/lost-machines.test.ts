import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Deployment, deployments, endpointSlices, type Pod, pods, type Service, services } from "#api";
import { isReady, readyPod, until } from "./client.ts";
import type { Host } from "./hosts.ts";
import { JoinedCluster, webSpec } from "./joined.ts";
import { tracesOf } from "./traces.ts";

/*
 * Three machines, of which one is killed, paused or cut off and returns, and the machine of the control plane starts again
 * meanwhile. Pods hold a lock of the kernel, which all machines share, so that none can run twice unnoticed.
 */

let cluster: JoinedCluster;
let shared: string;
let service = "";
const namespace = "default";
const names = ["one", "two", "three"];
const webs = names.map((name) => `web-${name}`);
const overlay = ["--overlay", "always"];

beforeAll(async () => {
  const words = { one: overlay, two: overlay, three: overlay };
  cluster = await JoinedCluster.open({ one: 1, two: 1, three: 2 }, { words });
  shared = join(cluster.laboratory.folder, "shared");
  mkdirSync(shared);
  const labels = { app: "web" };
  for (const name of names) {
    const spec = { ...lockedSpec(), nodeName: name };
    await until(() =>
      cluster.client
        .create(pods, { metadata: { name: `web-${name}`, namespace, labels }, spec } as unknown as Pod)
        .catch(() => undefined),
    );
  }
  for (const name of webs) await readyPod(cluster.client, name);
  const { spec } = await cluster.client.create(services, {
    metadata: { name: "web", namespace },
    spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
  } as unknown as Service);
  service = spec?.clusterIP ?? "";
  await answersWith("web-two", webs);
  // The lock itself holds.
  const [first = ""] = await Promise.all(webs.map(uidOf));
  const again = `exec 9>>/shared/${first}; /flock -n 9 && echo free`;
  expect(cluster.inPod("web-two", "sh", "-c", again)).not.toContain("free");
}, 300_000);
afterAll(() => cluster?.close(), 300_000);

const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });

/** The program flock of this machine and its libraries: busybox may lack it. */
const lockFiles = [
  { name: "flock", path: "/usr/bin/flock", mountPath: "/flock" },
  ...["/lib", "/lib64", "/usr/lib"].map((path) => ({ name: path.slice(1).replace("/", "-"), path, mountPath: path })),
];

/**
 * The spec of a pod that answers with its name, holds the lock of its uid while it runs, and notes its start. A second
 * container of the same pod would note itself in the file `twice`.
 */
function lockedSpec() {
  const { containers, ...rest } = webSpec();
  const [main] = containers;
  const lock = "exec 9>>/shared/$POD; /flock -n 9 || echo $POD on $NODE >>/shared/twice; echo $NODE >>/shared/$POD";
  const [shell, flag, script] = main!.command;
  const container = {
    ...main,
    command: [shell, flag, `${lock}; ${script}`],
    env: [field("POD", "metadata.uid"), field("NODE", "spec.nodeName")],
    volumeMounts: [
      { name: "shared", mountPath: "/shared" },
      ...lockFiles.map(({ name, mountPath }) => ({ name, mountPath, readOnly: true })),
    ],
  };
  const hostPath = lockFiles.map(({ name, path }) => ({ name, hostPath: { path } }));
  return { ...rest, containers: [container], volumes: [{ name: "shared", hostPath: { path: shared } }, ...hostPath] };
}

/** The machines on which the containers of a pod have started, in order. */
const startsOf = (uid = ""): string[] => readFileSync(join(shared, uid), "utf8").trim().split("\n");

const uidOf = async (name: string): Promise<string> =>
  (await cluster.client.get(pods, { namespace, name })).metadata.uid ?? "";

/** The pods that answer a pod at the service's address; what failed is there by the first word of its error. */
async function seen(from: string, times: number): Promise<string[]> {
  const found = new Set<string>();
  for (let time = 0; time < times; time++) found.add(cluster.fetchIn(from, service, 80).split(" ")[0] ?? "");
  return [...found].toSorted();
}

/** Waits until exactly these pods answer. */
async function answersWith(from: string, expected: readonly string[]): Promise<void> {
  const sorted = [...expected].toSorted();
  await until(async () => JSON.stringify(await seen(from, 20)) === JSON.stringify(sorted), 120).catch(() => {});
  expect(await seen(from, 30)).toEqual(sorted);
}

/** A deployment of one pod, whose pod runs on a machine. It leaves a lost node after a second. */
async function deployOn(name: string, node: string): Promise<Pod> {
  const lost = ["not-ready", "unreachable"].map((state) => ({
    ...{ key: `node.kubernetes.io/${state}`, operator: "Exists", effect: "NoExecute", tolerationSeconds: 1 },
  }));
  const labels = { deployment: name };
  const preference = { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }] };
  const affinity = {
    nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference }] },
  };
  const spec = { ...lockedSpec(), terminationGracePeriodSeconds: 1, tolerations: lost, affinity };
  await cluster.client.create(deployments, {
    metadata: { name, namespace },
    spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  } as unknown as Deployment);
  const pod = await until(async () => (await podsOf(name)).find(isReady));
  expect(pod.spec?.nodeName).toBe(node);
  return pod;
}

const podsOf = async (deployment: string): Promise<Pod[]> =>
  (await cluster.client.list(pods, { namespace })).items.filter(
    ({ metadata }) => metadata.labels?.["deployment"] === deployment,
  );

/** The addresses of the service's endpoints that are ready. */
async function readyEndpoints(): Promise<number> {
  const { items } = await cluster.client.list(endpointSlices, { namespace });
  const own = items.filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === "web");
  return own.flatMap(({ endpoints = [] }) => endpoints).filter(({ conditions }) => conditions?.ready).length;
}

/** What happens while a machine is lost, whatever the reason. Resolves with the pod that replaces the lost one. */
async function isReplaced(node: string, lost: Pod): Promise<Pod> {
  const deployment = lost.metadata.labels!["deployment"]!;
  await until(async () => !(await cluster.isReady(node)), 180);
  await until(async () => (await readyEndpoints()) === 2, 120);
  const [from = ""] = webs.filter((name) => name !== `web-${node}`);
  await answersWith(
    from,
    webs.filter((name) => name !== `web-${node}`),
  );
  const next = await until(
    async () => (await podsOf(deployment)).find((pod) => pod.metadata.uid !== lost.metadata.uid && isReady(pod)),
    120,
  );
  expect(next.spec?.nodeName).not.toBe(node);
  // Nothing confirms that the lost one has ended, so it is kept.
  expect((await podsOf(deployment)).some(({ metadata }) => metadata.uid === lost.metadata.uid)).toBe(true);
  return next;
}

/** What happens when the machine has returned. */
async function isCleanedUp(host: Host, lost: Pod, next: Pod): Promise<void> {
  const deployment = lost.metadata.labels!["deployment"]!;
  await until(() => cluster.isReady(host.name), 120);
  await until(async () => (await podsOf(deployment)).length === 1, 120);
  expect((await podsOf(deployment)).map(({ metadata }) => metadata.uid)).toEqual([next.metadata.uid]);
  await until(async () => {
    // A sandbox that has ended is kept with its container, as long as its pod exists.
    const left = (await cluster.sandboxes(host.name)).map((line) => line.split(" ")[0]);
    return new Set(left).size === 1 && left[0] === `web-${host.name}`;
  }, 120);
  await until(async () => (await readyEndpoints()) === 3, 120);
  await answersWith("web-two", webs);
  // The lost pod has run on its machine only, once; its successor has not run there.
  expect(startsOf(lost.metadata.uid)).toEqual([host.name]);
  expect(startsOf(next.metadata.uid)).not.toContain(host.name);
  expect(existsSync(join(shared, "twice"))).toBe(false);
  await cluster.client.delete(deployments, { namespace, name: deployment });
  await until(async () => (await podsOf(deployment)).length === 0, 120);
}

/** The machine of the control plane loses its power and starts again; its own pods do too. */
async function restartControlPlane(): Promise<void> {
  const one = cluster.hosts["one"]!;
  await one.kill();
  await one.boot();
  await cluster.up();
  await readyPod(cluster.client, "web-one");
}

test("a machine that loses its power loses its pods to others, and starts what is still its own once", async () => {
  const three = cluster.hosts["three"]!;
  const lost = await deployOn("power", "three");
  const uid = await uidOf("web-three");
  await three.kill();
  const next = await isReplaced("three", lost);
  await restartControlPlane();
  await three.boot();
  await cluster.join("three");
  await isCleanedUp(three, lost, next);
  const again = await readyPod(cluster.client, "web-three");
  expect(again.metadata.uid).toBe(uid);
  expect(startsOf(uid)).toEqual(["three", "three"]);
}, 600_000);

test("a machine whose agent is paused keeps its containers, and ends the replaced ones when it continues", async () => {
  const two = cluster.hosts["two"]!;
  const lost = await deployOn("pause", "two");
  const before = await tracesOf(cluster, two);
  const { agent } = two.running();
  two.run("kill", "-STOP", `${agent}`);
  const next = await isReplaced("two", lost);
  const paused = await tracesOf(cluster, two);
  for (const what of ["pods", "sandboxes", "rules", "interfaces"])
    expect([what, paused[what]]).toEqual([what, before[what]]);
  two.run("kill", "-CONT", `${agent}`);
  await isCleanedUp(two, lost, next);
  expect(startsOf(await uidOf("web-two"))).toEqual(["two"]);
}, 600_000);

test("a machine that is cut off loses its pods to others, and ends them when it returns", async () => {
  const three = cluster.hosts["three"]!;
  const lost = await deployOn("cut", "three");
  const before = await tracesOf(cluster, three);
  const starts = startsOf(await uidOf("web-three"));
  cluster.laboratory.connect("three", false);
  const next = await isReplaced("three", lost);
  await restartControlPlane();
  // Cut off, it keeps its containers: it cannot know that the pod has been replaced.
  const cut = await tracesOf(cluster, three);
  for (const what of ["pods", "neighbors", "forwards"]) expect([what, cut[what]]).toEqual([what, before[what]]);
  // The kernel marks them while the cable is out.
  expect(cut["routes"]?.map((route) => route.replace(/ linkdown.*/, ""))).toEqual(before["routes"]);
  cluster.laboratory.connect("three", true);
  await isCleanedUp(three, lost, next);
  const after = await tracesOf(cluster, three);
  for (const what of ["routes", "forwards"]) expect([what, after[what]]).toEqual([what, before[what]]);
  // The pod that stayed is the same one.
  expect(before["pods"]).toEqual(expect.arrayContaining(after["pods"]!));
  expect(startsOf(await uidOf("web-three"))).toEqual(starts);
}, 600_000);
