import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type Deployment,
  deployments,
  findCondition,
  isConditionTrue,
  type Kind,
  type KubernetesObject,
  type Pod,
  pods,
  type ReplicaSet,
  replicaSets,
} from "#api";
import { openCluster, type TestCluster } from "#test/cluster";
import { make, type Part } from "#test/make";

let cluster: TestCluster;
let ended: AbortController;
beforeEach(async () => {
  ended = new AbortController();
  cluster = await openCluster();
  await cluster.addNode("one");
});
afterEach(() => {
  ended.abort();
  return cluster.close();
});

const at = { namespace: "default", name: "web" };
const revision = "deployment.kubernetes.io/revision";
const open = (part: Part<Deployment> = {}) => cluster.client.create(deployments, make.deployment(part as never));
const change = (patch: object) => cluster.client.patch(deployments, at, patch, { type: "strategic" });
const image = (name: string) => ({
  spec: { template: { spec: { containers: [{ name: "main", image: `example.com/${name}` }] } } },
});
const get = () => cluster.client.get(deployments, at);
const sets = async (): Promise<ReplicaSet[]> =>
  (await cluster.client.list(replicaSets, { namespace: "default" })).items;
const all = async (): Promise<Pod[]> => (await cluster.client.list(pods, { namespace: "default" })).items;
const setOf = async (name: string): Promise<ReplicaSet | undefined> =>
  (await sets()).find(
    ({ metadata, spec }) =>
      metadata.ownerReferences && spec?.template?.spec?.containers?.[0]?.image === `example.com/${name}`,
  );
const progress = ({ status }: Deployment) => findCondition(status?.conditions, "Progressing");

/** Acts as the nodes' agents until the deployment's pods all run one image. */
const settled = (name: string, count: number) =>
  cluster.until(async () => {
    await cluster.playAgents();
    const now = await all();
    const { status } = await get();
    const good = now.every(({ spec }) => spec?.containers?.[0]?.image === `example.com/${name}`);
    return (
      good &&
      now.length === count &&
      (status?.availableReplicas ?? 0) === count &&
      (status?.replicas ?? 0) === count &&
      (status?.updatedReplicas ?? 0) === count &&
      progress(await get())?.reason === "NewReplicaSetAvailable" &&
      (await get())
    );
  });

test("events name the component that recorded them", async () => {
  // Wait until the node has lost the taint of new nodes: an unschedulable pod would add an event.
  await cluster.quiet();
  await open({ spec: { replicas: 1 } });
  await settled("web:1", 1);
  const sources = async (): Promise<string[]> => {
    const { items } = (await cluster.ask("GET", "/api/v1/namespaces/default/events")).json;
    return items.map(({ reason, source }: never) => `${reason}: ${(source as { component: string }).component}`).sort();
  };
  const wanted = [
    "ScalingReplicaSet: deployment-controller",
    "Scheduled: default-scheduler",
    "SuccessfulCreate: replicaset-controller",
  ];
  await cluster.until(async () => {
    const seen = await sources();
    return wanted.every((each) => seen.includes(each));
  });
  // The scheduler may have read the node before its taint was removed.
  const others = (await sources()).filter((each) => !wanted.includes(each));
  expect(others.filter((each) => each !== "FailedScheduling: default-scheduler")).toEqual([]);
});

/** Calls `changed` with all objects of a kind in `default` after each of their changes, until the test ends. */
async function follow<T extends KubernetesObject>(kind: Kind<T>, changed: (objects: readonly T[]) => void) {
  const { items, revision: from } = await cluster.client.list(kind, { namespace: "default" });
  const objects = new Map(items.map((item) => [item.metadata.uid, item]));
  const changes = cluster.client.watch(kind, { namespace: "default", revision: from, signal: ended.signal });
  void (async () => {
    for await (const change of changes) {
      if (change.type === "BOOKMARK") continue;
      if (change.type === "DELETED") objects.delete(change.object.metadata.uid);
      else objects.set(change.object.metadata.uid, change.object);
      changed([...objects.values()]);
    }
  })();
}

test("a rolling update keeps the numbers of pods within maxSurge and maxUnavailable", async () => {
  await open({ spec: { replicas: 4, strategy: { rollingUpdate: { maxSurge: "25%", maxUnavailable: 0 } } } });
  await settled("web:1", 4);
  const desired = new Set<number>();
  const ready = new Set<number>();
  await follow(replicaSets, (now) => desired.add(now.reduce((sum, { spec }) => sum + (spec?.replicas ?? 0), 0)));
  await follow(pods, (now) =>
    ready.add(
      now.filter((pod) => !pod.metadata.deletionTimestamp && isConditionTrue(pod.status?.conditions, "Ready")).length,
    ),
  );
  await change(image("web:2"));
  const done = await settled("web:2", 4);
  expect([Math.min(...desired), Math.max(...desired)]).toEqual([4, 5]);
  expect(Math.min(...ready)).toBe(4);
  expect(done.metadata).toMatchObject({ generation: 2, annotations: { [revision]: "2" } });
});

// Seen on v1.37.2: the count is written when it is zero, unlike the others.
test("counts terminating pods, also when there are none", async () => {
  await open({ spec: { replicas: 2 } });
  expect((await settled("web:1", 2)).status?.terminatingReplicas).toBe(0);
  expect((await setOf("web:1"))?.status?.terminatingReplicas).toBe(0);
  await change({ spec: { replicas: 1 } });
  await cluster.until(async () => (await get()).status?.terminatingReplicas === 1);
  await settled("web:1", 1);
  await cluster.until(async () => (await get()).status?.terminatingReplicas === 0);
});

test("a rollback gives the old set the newest revision and a history", async () => {
  await open({ spec: { replicas: 1 } });
  await settled("web:1", 1);
  const first = (await setOf("web:1"))!.metadata.name;
  await change(image("web:2"));
  await settled("web:2", 1);
  await change(image("web:1"));
  const back = await settled("web:1", 1);
  expect(back.metadata.annotations).toMatchObject({ [revision]: "3" });
  const set = (await setOf("web:1"))!;
  expect(set.metadata).toMatchObject({
    name: first,
    annotations: { [revision]: "3", "deployment.kubernetes.io/revision-history": "1" },
  });
  await change(image("web:2"));
  await settled("web:2", 1);
  await change(image("web:1"));
  await settled("web:1", 1);
  expect((await setOf("web:1"))!.metadata.annotations).toMatchObject({
    [revision]: "5",
    "deployment.kubernetes.io/revision-history": "1,3",
  });
  expect(await sets()).toHaveLength(2);
});

test("a paused deployment scales but does not roll out; when resumed, it rolls out", async () => {
  await open({ spec: { replicas: 2 } });
  await settled("web:1", 2);
  await change({ spec: { paused: true } });
  await cluster.until(async () => progress(await get())?.reason === "DeploymentPaused");
  await change({ spec: { replicas: 3, ...image("web:2").spec } });
  await cluster.until(async () => {
    await cluster.playAgents();
    return (await setOf("web:1"))?.status?.availableReplicas === 3;
  });
  await cluster.quiet();
  expect(await setOf("web:2")).toBeUndefined();
  expect(progress(await get())).toMatchObject({ status: "Unknown", message: "Deployment is paused" });
  await change({ spec: { paused: false } });
  await settled("web:2", 3);
});

test("scaling during a rollout changes old and new sets in proportion", async () => {
  await open({ spec: { replicas: 10, strategy: { rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } } } });
  await settled("web:1", 10);
  await change(image("web:2"));
  // The new pods do not become ready: 13 in all, of which 5 are new.
  await cluster.until(async () => {
    const [old, fresh] = [await setOf("web:1"), await setOf("web:2")];
    return old?.spec?.replicas === 8 && fresh?.spec?.replicas === 5;
  });
  await cluster.quiet();
  await change({ spec: { replicas: 15 } });
  await cluster.until(async () => {
    const [old, fresh] = [await setOf("web:1"), await setOf("web:2")];
    return old?.spec?.replicas === 11 && fresh?.spec?.replicas === 7;
  });
  await cluster.quiet();
  expect((await setOf("web:1"))?.metadata.annotations).toMatchObject({
    "deployment.kubernetes.io/desired-replicas": "15",
    "deployment.kubernetes.io/max-replicas": "18",
  });
  await settled("web:2", 15);
});

test("Recreate waits until the last old pod is deleted", async () => {
  await open({ spec: { replicas: 2, strategy: { type: "Recreate" } } });
  await settled("web:1", 2);
  await change(image("web:2"));
  await cluster.until(async () => (await all()).every(({ metadata }) => metadata.deletionTimestamp));
  await cluster.quiet();
  expect(await setOf("web:2")).toBeUndefined();
  await settled("web:2", 2);
});

test("a history limit of 0 deletes old sets when the rollout is complete", async () => {
  await open({ spec: { replicas: 1, revisionHistoryLimit: 0 } });
  await settled("web:1", 1);
  await change(image("web:2"));
  await settled("web:2", 1);
  await cluster.pass(1000);
  expect((await sets()).map(({ metadata }) => metadata.annotations?.[revision])).toEqual(["2"]);
});

test("adopts an orphaned set and continues its revision", async () => {
  await open({ spec: { replicas: 1 } });
  await settled("web:1", 1);
  await cluster.client.delete(deployments, at, { propagation: "Orphan" });
  await cluster.until(async () => (await cluster.client.list(deployments)).items.length === 0);
  const before = (await sets())[0]!;
  await cluster.client.patch(
    replicaSets,
    { namespace: "default", name: before.metadata.name ?? "" },
    { metadata: { annotations: { [revision]: "7" } } },
    { type: "merge" },
  );
  await open({ spec: { replicas: 1 } });
  const adopted = await settled("web:1", 1);
  expect(adopted.metadata.annotations).toMatchObject({ [revision]: "7" });
  expect((await sets()).map(({ metadata }) => metadata.uid)).toEqual([before.metadata.uid]);
  await change(image("web:2"));
  expect((await settled("web:2", 1)).metadata.annotations).toMatchObject({ [revision]: "8" });
});

test("adopts a set whose labels start to match", async () => {
  await open({ spec: { replicas: 0 } });
  await cluster.until(async () => (await sets()).length === 1);
  await cluster.quiet();
  const other = make.replicaSet({
    metadata: { name: "stray" },
    spec: { replicas: 0, selector: { matchLabels: { app: "web", more: "x" } } },
  });
  other.spec!.template!.metadata = { labels: { app: "web", more: "x" } };
  await cluster.client.create(replicaSets, other);
  await cluster.client.patch(
    replicaSets,
    { namespace: "default", name: "stray" },
    { metadata: { labels: { app: "web" } } },
    { type: "merge" },
  );
  await cluster.pass(1000);
  const { uid } = (await get()).metadata;
  expect((await sets()).map(({ metadata }) => metadata.ownerReferences?.map((one) => one.uid))).toEqual([[uid], [uid]]);
});

test("reports refused pods in conditions once, without repeated writes", async () => {
  const template = { metadata: { labels: { app: "web" } }, spec: { serviceAccountName: "missing", ...podSpec() } };
  await open({ spec: { replicas: 3, template } });
  const seen = await cluster.until(async () => {
    const found = await get();
    return found.status?.conditions?.some(({ type }) => type === "ReplicaFailure") && found;
  });
  expect(findCondition(seen.status?.conditions, "ReplicaFailure")).toMatchObject({
    status: "True",
    reason: "FailedCreate",
    message: expect.stringContaining(
      'is forbidden: error looking up service account default/missing: serviceaccount "missing" not found',
    ),
  });
  await cluster.quiet();
  const [set] = await sets();
  // Longer than the backoffs of the first ten retries.
  await cluster.pass(10_000);
  expect((await sets())[0]?.metadata.resourceVersion).toBe(set?.metadata.resourceVersion);
  await cluster.ask("POST", "/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "missing" } });
  await cluster.until(async () => {
    await cluster.playAgents();
    const { status } = await get();
    return status?.availableReplicas === 3 && !status.conditions?.some(({ type }) => type === "ReplicaFailure");
  });
});

const podSpec = () => ({ containers: [{ name: "main", image: "example.com/web:1" }] });

test("reports a rollout that exceeds its progress deadline, and its later completion", async () => {
  await open({ spec: { replicas: 1, progressDeadlineSeconds: 1 } });
  const late = await cluster.until(
    async () => progress(await get())?.reason === "ProgressDeadlineExceeded" && progress(await get()),
  );
  expect(late).toMatchObject({
    status: "False",
    message: expect.stringMatching(/^ReplicaSet "web-\w+" has timed out/),
  });
  await settled("web:1", 1);
});

test("keeps a complete rollout complete while its pods are replaced", async () => {
  await open({ spec: { replicas: 2 } });
  await settled("web:1", 2);
  const [pod] = await all();
  await cluster.client.delete(
    pods,
    { namespace: "default", name: pod!.metadata.name ?? "" },
    { gracePeriodSeconds: 0 },
  );
  await cluster.until(async () => (await get()).status?.unavailableReplicas === 1);
  expect(progress(await get())?.reason).toBe("NewReplicaSetAvailable");
});

test("writes the deployment's revision after a crash between creating the set and writing it", async () => {
  await open({ spec: { replicas: 1 } });
  await settled("web:1", 1);
  const [set] = await sets();
  const patch = { metadata: { annotations: { [revision]: null } } };
  await cluster.client.patch(deployments, at, patch, { type: "merge", subresource: "status" });
  await cluster.until(async () => (await get()).metadata.annotations?.[revision] === "1");
  expect((await sets()).map(({ metadata }) => metadata.uid)).toEqual([set?.metadata.uid]);
});

test("uses another hash when the name belongs to another template", async () => {
  await open({ spec: { replicas: 1, paused: true } });
  await cluster.quiet();
  await cluster.client.delete(deployments, at);
  await open({ spec: { replicas: 1 } });
  await settled("web:1", 1);
  const { name = "" } = (await setOf("web:1"))!.metadata;
  await cluster.client.delete(deployments, at);
  await cluster.until(async () => {
    await cluster.playAgents();
    return (await sets()).length === 0 && (await all()).length === 0;
  });
  const stranger = make.replicaSet({
    metadata: { name },
    spec: { replicas: 0, selector: { matchLabels: { app: "x" } } },
  });
  stranger.spec!.template!.metadata = { labels: { app: "x" } };
  await cluster.client.create(replicaSets, stranger);
  await open({ spec: { replicas: 1 } });
  const done = await settled("web:1", 1);
  expect(done.status?.collisionCount).toBe(1);
  expect((await setOf("web:1"))!.metadata.name).not.toBe(name);
});
