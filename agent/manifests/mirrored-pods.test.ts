import { afterEach, beforeEach, expect, test } from "vitest";
import { type Pod, pods } from "#api";
import { ignoreNotFound, silentLog } from "#base";
import { type Client, type Informer, startInformer } from "#client";
import { openCluster, type TestCluster } from "#test/cluster";
import { isMirror, MirroredPods } from "./index.ts";
import { readManifest } from "./manifest.ts";

let cluster: TestCluster;
let agent: Client;
let node: Awaited<ReturnType<typeof startNode>>;
beforeEach(async () => {
  cluster = await openCluster();
  await cluster.addNode("one");
  await cluster.quiet();
  agent = cluster.plane.server.client({ name: "system:node:one", groups: ["system:nodes"] });
  node = await startNode();
});
afterEach(async () => {
  await node.stop();
  await cluster.close();
});

/** The node's part: a runner that runs nothing, and the informer that reports mirrors. */
async function startNode(first: Pod[] = [], isComplete = true) {
  /** `set NAME UID` and `delete UID`, in order. */
  const steps: string[] = [];
  const running = new Map<string, Pod>();
  /** Ends of pods wait for these. */
  const ends = { held: undefined as Promise<void> | undefined };
  const mirrored = new MirroredPods({
    ...{ node: "one", client: agent, clock: cluster.clock, log: silentLog },
    runner: {
      set: (pod) => {
        const { name, uid = "" } = pod.metadata;
        if (!running.has(uid)) steps.push(`start ${name} ${pod.spec?.containers[0]?.image}`);
        running.set(uid, pod);
      },
      delete: async (uid) => {
        await ends.held;
        const { metadata, spec } = running.get(uid)!;
        steps.push(`end ${metadata.name} ${spec?.containers[0]?.image}`);
        running.delete(uid);
      },
    },
    api: {
      updateStatus: (pod) => agent.update(pods, pod, { subresource: "status" }),
      get: (namespace, name) => agent.get(pods, { namespace, name }),
    },
  });
  const informer: Informer<Pod> = startInformer<Pod>({
    ...{ client: agent, kind: pods, clock: cluster.clock, log: silentLog },
    fields: [{ field: "spec.nodeName", equal: true, value: "one" }],
    changed: ({ type, object }) => isMirror(object) && mirrored.mirror(object, type === "DELETED"),
  });
  await informer.ready;
  mirrored.synced();
  // Sources may be read after the API.
  await cluster.quiet();
  mirrored.want(first);
  if (isComplete) mirrored.complete();
  const stop = async () => {
    mirrored.stop();
    await informer.stop();
  };
  return { mirrored, steps, running, ends, stop };
}

const manifest = async (name: string, image = "i:1"): Promise<Pod> => {
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name }, spec: { containers: [{ name: "main", image }] } };
  const [read] = await readManifest(Buffer.from(JSON.stringify(pod)), {
    ...{ source: "file", place: `/m/${name}`, node: "one" },
  });
  return read!;
};
const mirrorOf = (name: string) => ignoreNotFound(cluster.client.get(pods, { namespace: "default", name }));
const mirror = (name: string, is: (pod: Pod) => boolean = () => true) =>
  cluster.until(async () => {
    const found = await mirrorOf(name);
    return found && is(found) && found;
  });
const gone = (name: string) => cluster.until(async () => (await mirrorOf(name)) === undefined);

// basicMirrorClient.CreateMirrorPod (pkg/kubelet/pod/mirror_client.go, v1.37.2).
test("a static pod runs and is shown by a mirror pod that its node owns", async () => {
  const web = await manifest("web");
  node.mirrored.want([web]);
  const shown = await mirror("web-one");
  const owner = { apiVersion: "v1", kind: "Node", name: "one", uid: expect.any(String), controller: true };
  expect(shown.metadata.ownerReferences).toEqual([owner]);
  expect(shown.metadata.annotations).toMatchObject({
    "kubernetes.io/config.hash": web.metadata.uid,
    "kubernetes.io/config.mirror": web.metadata.uid,
    "kubernetes.io/config.source": "file",
  });
  expect(shown.metadata.uid).not.toBe(web.metadata.uid);
  expect(node.steps).toEqual(["start web-one i:1"]);
});

test("a status that is written for the static pod is the mirror's", async () => {
  const web = await manifest("web");
  node.mirrored.want([web]);
  const early = node.mirrored.updateStatus({ ...web, status: { phase: "Running" } });
  await expect(early).rejects.toMatchObject({ reason: "NotFound" });
  const { metadata } = await mirror("web-one");
  const first = await node.mirrored.updateStatus({ ...web, status: { phase: "Running" } });
  expect(first.metadata.uid).toBe(web.metadata.uid);
  expect((await mirror("web-one")).status?.phase).toBe("Running");
  const again = await node.mirrored.updateStatus({ ...first, status: { phase: "Failed" } });
  const stale = node.mirrored.updateStatus({ ...first, status: { phase: "Running" } });
  await expect(stale).rejects.toMatchObject({ reason: "Conflict" });
  expect(again.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion);
  const read = await node.mirrored.get("default", "web-one");
  expect(read).toMatchObject({ metadata: { uid: web.metadata.uid }, status: { phase: "Failed" } });
  expect((await mirror("web-one")).metadata.uid).toBe(metadata.uid);
});

test("a mirror that a user deletes is created again, and the pod runs on", async () => {
  node.mirrored.want([await manifest("web")]);
  const first = await mirror("web-one");
  await cluster.client.delete(pods, { namespace: "default", name: "web-one" });
  const second = await mirror("web-one", ({ metadata }) => metadata.uid !== first.metadata.uid);
  expect(second.metadata.deletionTimestamp).toBeUndefined();
  expect(node.steps).toEqual(["start web-one i:1"]);
});

test("a changed manifest ends the old pod before the new one starts, and gets another mirror", async () => {
  node.mirrored.want([await manifest("web")]);
  const first = await mirror("web-one");
  const held = Promise.withResolvers<void>();
  node.ends.held = held.promise;
  node.mirrored.want([await manifest("web", "i:2")]);
  await cluster.quiet();
  expect(node.steps).toEqual(["start web-one i:1"]);
  held.resolve();
  const second = await mirror("web-one", ({ spec }) => spec?.containers[0]?.image === "i:2");
  expect(second.metadata.uid).not.toBe(first.metadata.uid);
  expect(node.steps).toEqual(["start web-one i:1", "end web-one i:1", "start web-one i:2"]);
});

test("a manifest that is removed ends its pod, then its mirror is deleted", async () => {
  node.mirrored.want([await manifest("web"), await manifest("db")]);
  await mirror("web-one");
  await mirror("db-one");
  node.mirrored.want([await manifest("db")]);
  await gone("web-one");
  expect(node.steps.at(-1)).toBe("end web-one i:1");
  expect(await mirrorOf("db-one")).toBeDefined();
});

test("an agent that starts again adopts mirrors, and deletes those without a static pod", async () => {
  node.mirrored.want([await manifest("web"), await manifest("db")]);
  const web = await mirror("web-one");
  await mirror("db-one");
  await node.stop();
  node = await startNode([await manifest("web")]);
  await gone("db-one");
  await cluster.quiet();
  expect((await mirrorOf("web-one"))?.metadata.uid).toBe(web.metadata.uid);
});

test("while another source has not been read, mirrors of removed pods are deleted, and unknown ones are kept", async () => {
  node.mirrored.want([await manifest("web"), await manifest("db")]);
  await mirror("web-one");
  const db = await mirror("db-one");
  await node.stop();
  node = await startNode([await manifest("web")], false);
  node.mirrored.want([]);
  await gone("web-one");
  await cluster.quiet();
  expect((await mirrorOf("db-one"))?.metadata.uid).toBe(db.metadata.uid);
});

test("of two manifests with one name the first counts", async () => {
  node.mirrored.want([await manifest("web"), { ...(await manifest("web", "i:2")) }]);
  expect((await mirror("web-one")).spec?.containers[0]?.image).toBe("i:1");
  expect(node.steps).toEqual(["start web-one i:1"]);
});
