import { afterAll, beforeAll, expect, test } from "vitest";
import { csiDrivers, type Pod, pods, serviceAccounts, type TokenRequest } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";
import { make } from "#test/make";

/* As upstream's admission does (plugin/pkg/admission/serviceaccount/admission_test.go, noderestriction/admission_test.go). */

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await openCluster({ asleep: true });
  await cluster.plane.bootstrap();
  for (const name of ["one", "two"]) await cluster.addNode(name);
  for (const name of ["default", "robot"]) {
    await cluster.client.create(serviceAccounts, make.serviceAccount({ metadata: { name } }));
  }
  const quiet = { metadata: { name: "quiet" }, automountServiceAccountToken: false };
  await cluster.client.create(serviceAccounts, make.serviceAccount(quiet));
});
afterAll(() => cluster.close());

const create = (name: string, part: object = {}): Promise<Pod> =>
  cluster.client.create(pods, make.pod({ metadata: { name }, spec: part }));
const path = "/var/run/secrets/kubernetes.io/serviceaccount";
const container = (name: string, more: object = {}) => ({ name, image: "i", ...more });
const mountsOf = (pod: Pod) =>
  [...(pod.spec?.initContainers ?? []), ...pod.spec!.containers].map(({ volumeMounts }) => volumeMounts ?? []);

test("mounts the token, the certificate authority and the namespace in every container", async () => {
  const pod = await create("plain", { initContainers: [container("first")], containers: [container("main")] });
  const name = expect.stringMatching(/^kube-api-access-[a-z0-9]{5}$/);
  expect(pod.spec?.volumes).toEqual([
    {
      name,
      projected: {
        defaultMode: 420,
        sources: [
          { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
          { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
          {
            downwardAPI: {
              items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
            },
          },
        ],
      },
    },
  ]);
  const mount = { name: pod.spec?.volumes?.[0]?.name, readOnly: true, mountPath: path };
  expect(mountsOf(pod)).toEqual([[mount], [mount]]);
});

test("prefers the pod's setting to the service account's", async () => {
  expect((await create("quiet", { serviceAccountName: "quiet" })).spec?.volumes).toBeUndefined();
  const loud = { serviceAccountName: "quiet", automountServiceAccountToken: true };
  expect((await create("loud", loud)).spec?.volumes).toHaveLength(1);
  expect((await create("off", { automountServiceAccountToken: false })).spec?.volumes).toBeUndefined();
});

test("keeps another mount at the same path, and mounts nothing twice", async () => {
  const own = { name: "own", emptyDir: {} };
  const mount = { name: "own", mountPath: path };
  const containers = [container("main", { volumeMounts: [mount] })];
  const kept = await create("kept", { volumes: [own], containers });
  expect(kept.spec?.volumes).toEqual([own]);
  expect(mountsOf(kept)).toEqual([[mount]]);
  const mixed = await create("mixed", { volumes: [own], containers: [...containers, container("other")] });
  expect(mixed.spec?.volumes?.map(({ name }) => name)).toEqual(["own", expect.stringMatching(/^kube-api-access-/)]);
  const ours = { name: "kube-api-access-mine", emptyDir: {} };
  const taken = await create("taken", { volumes: [ours], containers: [container("main")] });
  expect(taken.spec?.volumes).toEqual([ours]);
  expect(mountsOf(taken)).toEqual([[{ name: ours.name, readOnly: true, mountPath: path }]]);
});

test("mounts no token in a mirror pod, and refuses one that requests a token", async () => {
  const annotations = { "kubernetes.io/config.mirror": "x" };
  const mirror = (name: string, spec: object) =>
    cluster.client.create(pods, make.pod({ metadata: { name, annotations }, spec: { nodeName: "one", ...spec } }));
  expect((await mirror("mirror", {})).spec?.volumes).toBeUndefined();
  const volumes = [{ name: "t", projected: { sources: [{ serviceAccountToken: { path: "t" } }] } }];
  await expect(mirror("greedy", { volumes })).rejects.toThrow(
    'pods "greedy" is forbidden: a mirror pod may not use service account token volume projections',
  );
});

test("issues an agent tokens for pods on its node, and for the audiences that they name", async () => {
  const source = { serviceAccountToken: { path: "t", audience: "vault" } };
  await cluster.client.create(csiDrivers, {
    metadata: { name: "tokens.example" },
    spec: { tokenRequests: [{ audience: "storage" }] },
  });
  const volumes = [
    { name: "t", projected: { sources: [source] } },
    { name: "c", csi: { driver: "tokens.example" } },
    { name: "d", csi: { driver: "none.example" } },
  ];
  const here = await create("here", { nodeName: "one", serviceAccountName: "robot", volumes });
  const there = await create("there", { nodeName: "two", serviceAccountName: "robot" });
  const agent = cluster.plane.server.client({ name: "system:node:one", groups: ["system:nodes"] });
  const ask = (bound: object | undefined, audiences: string[] = []) =>
    agent.createSubresource(serviceAccounts, { namespace: "default", name: "robot" }, "token", {
      metadata: {},
      spec: { audiences, ...(bound ? { boundObjectRef: bound } : {}) },
    } as TokenRequest);
  const bound = { apiVersion: "v1", kind: "Pod", name: "here", uid: here.metadata.uid };
  for (const audiences of [[], ["vault"], ["storage"]]) {
    expect(((await ask(bound, audiences)) as TokenRequest).status?.token).toMatch(/^ey/);
  }
  for (const [reference, audiences, why] of [
    [undefined, [], "node requested token not bound to a pod"],
    [{ ...bound, kind: "Secret" }, [], "node requested token not bound to a pod"],
    [{ ...bound, uid: "" }, [], "node requested token with a pod binding without a uid"],
    [
      { ...bound, uid: "x" },
      [],
      "the UID in the bound object reference (x) does not match the UID in record. The object",
    ],
    [
      { ...bound, name: "there", uid: there.metadata.uid },
      [],
      "node requested token bound to a pod scheduled on a different node",
    ],
    [bound, ["vault", "more"], "node may only request 0 or 1 audiences"],
    [bound, ["more"], 'audience "more" not found in pod spec volume'],
  ] as const) {
    await expect(ask(reference, [...audiences])).rejects.toThrow(`serviceaccounts "robot" is forbidden: ${why}`);
  }
  const unknown = ask({ ...bound, name: "nowhere" });
  await expect(unknown).rejects.toThrow('pods "nowhere" not found');
});

test("refuses an agent tokens of accounts that no pod of its node runs as", async () => {
  await create("runs", { nodeName: "one", serviceAccountName: "robot" });
  const peer = { certificate: { commonName: "system:node:one", organizations: ["system:nodes"] } };
  const ask = async (name: string) => {
    const { status, body } = await cluster.plane.server.handle({
      method: "POST",
      path: `/api/v1/namespaces/default/serviceaccounts/${name}/token`,
      query: new URLSearchParams(),
      headers: { "content-type": "application/json" },
      body: async () => Buffer.from('{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}'),
      signal: new AbortController().signal,
      peer,
    });
    return [status, JSON.parse(Buffer.from(body as Uint8Array).toString()).message];
  };
  expect(await ask("robot")).toEqual([403, expect.stringContaining("not bound to a pod")]);
  expect(await ask("quiet")).toEqual([403, expect.stringContaining("no relationship found between node 'one'")]);
});
