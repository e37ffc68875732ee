import { afterAll, beforeAll, expect, test } from "vitest";
import { type CSINode, csiNodes, nodes, type Pod, pods, serviceAccounts } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";
import { make } from "#test/make";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await openCluster();
});
afterAll(() => cluster.close());

const path = "/api/v1/namespaces/default/pods";
const create = (name: string, spec: object = {}, where = path) => {
  const pod = make.pod({ metadata: { name } });
  delete pod.metadata.namespace;
  return cluster.ask("POST", where, { ...pod, spec: { ...pod.spec, ...spec } });
};

test("sets the priority of a pod from the two system classes in any namespace, and refuses other classes", async () => {
  expect((await create("plain")).json.spec).toMatchObject({ priority: 0, preemptionPolicy: "PreemptLowerPriority" });
  const critical = await create("critical", { priorityClassName: "system-node-critical" });
  expect(critical.json.spec.priority).toBe(2_000_001_000);
  expect((await create("strange", { priorityClassName: "high" })).json).toMatchObject({
    code: 403,
    message: 'pods "strange" is forbidden: no PriorityClass with name high was found',
  });
  expect((await create("own", { priority: 7 })).json.message).toBe(
    'pods "own" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name',
  );
});

test("adds tolerations of five minutes for nodes that are not ready or unreachable, where the pod has none", async () => {
  const { json } = await create("tolerant");
  const tolerated = (key: string) => ({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 });
  expect(json.spec.tolerations).toEqual([
    tolerated("node.kubernetes.io/not-ready"),
    tolerated("node.kubernetes.io/unreachable"),
  ]);
  const all = [{ operator: "Exists" }];
  expect((await create("stoic", { tolerations: all })).json.spec.tolerations).toEqual(all);
});

test("keeps the fields that admission has set when a pod is written without them", async () => {
  const { json } = await create("again");
  const { priority: _priority, preemptionPolicy: _policy, tolerations: _tolerations, ...spec } = json.spec;
  const labels = { more: "yes" };
  // Without a revision: the scheduler may have written a condition meanwhile.
  const metadata = { name: "again", labels };
  const put = await cluster.ask("PUT", `${path}/again`, { apiVersion: "v1", kind: "Pod", metadata, spec });
  expect(put.status).toBe(200);
  expect(put.json.spec).toEqual(json.spec);
});

test("refuses a pod whose service account does not exist, and adds the account's pull secrets", async () => {
  expect((await create("lost", { serviceAccountName: "missing" })).json).toMatchObject({
    code: 403,
    reason: "Forbidden",
    message:
      'pods "lost" is forbidden: error looking up service account default/missing: serviceaccount "missing" not found',
  });
  await cluster.client.create(serviceAccounts, {
    metadata: { namespace: "default", name: "puller" },
    imagePullSecrets: [{ name: "registry" }],
  });
  const made = await create("pulls", { serviceAccountName: "puller" });
  expect(made.json.spec).toMatchObject({ serviceAccount: "puller", imagePullSecrets: [{ name: "registry" }] });
});

test("refuses creates in a missing namespace and deletes of the permanent namespaces", async () => {
  expect((await create("nowhere", {}, "/api/v1/namespaces/nowhere/pods")).json).toMatchObject({
    code: 404,
    message: 'namespaces "nowhere" not found',
  });
  for (const name of ["default", "kube-system", "kube-public"]) {
    expect((await cluster.ask("DELETE", `/api/v1/namespaces/${name}`)).json).toMatchObject({
      code: 403,
      message: `namespaces "${name}" is forbidden: this namespace may not be deleted`,
    });
  }
});

test("allows an agent mirror pods on its own node that refer to no other object", async () => {
  const agent = cluster.plane.server.client({ name: "system:node:one", groups: ["system:nodes"] });
  const { uid } = (await cluster.addNode("one")).metadata;
  const own = { apiVersion: "v1", kind: "Node", name: "one", uid, controller: true };
  const mirror = (name: string, spec: object = {}, ownerReferences: object[] = [own]) => {
    const annotations = { "kubernetes.io/config.mirror": "x" };
    const pod = make.pod({ metadata: { name, annotations }, spec: { nodeName: "one" } });
    const metadata = { ...pod.metadata, ownerReferences };
    return agent.create(pods, { ...pod, metadata, spec: { ...pod.spec, ...spec } } as Pod);
  };
  const volume = (source: object) => ({ volumes: [{ name: "v", ...source }] });
  const env = [{ name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "a" } } }];
  for (const [spec, what] of [
    [volume({ secret: { secretName: "keys" } }), "secrets"],
    [{ imagePullSecrets: [{ name: "keys" }] }, "secrets"],
    [{ containers: [{ name: "main", image: "i", env }] }, "configmaps"],
  ] as const) {
    const message = `pods "m" is forbidden: node "one" can not create pods that reference ${what}`;
    await expect(mirror("m", spec)).rejects.toThrow(message);
  }
  // admitPodCreate (plugin/pkg/admission/noderestriction, v1.37.2).
  for (const [owners, why] of [
    [[], 'node "one" can only create pods with an owner reference set to itself'],
    [
      [own, { ...own, name: "two", controller: undefined }],
      'node "one" can only create pods with a single owner reference set to itself',
    ],
    [[{ ...own, name: "two" }], 'node "one" can only create pods with an owner reference set to itself'],
    [
      [{ ...own, controller: undefined }],
      'node "one" can only create pods with a controller owner reference set to itself',
    ],
    [[{ ...own, blockOwnerDeletion: true }], 'node "one" must not set blockOwnerDeletion on an owner reference'],
    [[{ ...own, uid: "other" }], `node one UID mismatch: expected other got ${uid}`],
  ] as const) {
    await expect(mirror("m", {}, [...owners])).rejects.toThrow(why);
  }
  await expect(mirror("other", { nodeName: "two" })).rejects.toThrow("with spec.nodeName set to itself");
  const made = await mirror("m", volume({ hostPath: { path: "/" } }));
  const { namespace, name = "" } = made.metadata;
  const patch = { metadata: { labels: { more: "x" } }, status: { phase: "Running" } };
  const how = { type: "merge", subresource: "status" } as const;
  await expect(agent.patch(pods, { namespace, name }, patch, how)).rejects.toThrow(
    'node "one" cannot update labels through pod status',
  );
  await agent.patch(pods, { namespace, name }, { status: { phase: "Running" } }, how);
});

// Right values: kube-apiserver v1.37.2, plugin/pkg/admission/noderestriction.
test("allows an agent only the Kubernetes labels that kubelets set", async () => {
  const agent = cluster.plane.server.client({ name: "system:node:labelled", groups: ["system:nodes"] });
  const make = (labels: Record<string, string>) => agent.create(nodes, { metadata: { name: "labelled", labels } });
  await expect(make({ "node-role.kubernetes.io/control-plane": "", "x.k8s.io/y": "", mine: "" })).rejects.toThrow(
    'nodes "labelled" is forbidden: node "labelled" is not allowed to set the following labels: node-role.kubernetes.io/control-plane, x.k8s.io/y',
  );
  await make({
    "kubernetes.io/hostname": "labelled",
    "topology.kubernetes.io/zone": "a",
    "my.node.kubernetes.io/kind": "b",
    "kubelet.kubernetes.io/x": "c",
    "example.com/role": "d",
    plain: "e",
  });
  const patch = (metadata: object) => agent.patch(nodes, { name: "labelled" }, { metadata }, { type: "merge" });
  for (const key of ["pod-security.kubernetes.io/enforce", "k8s.io/a", "a.node-restriction.kubernetes.io/b"]) {
    await expect(patch({ labels: { [key]: "x" } })).rejects.toThrow(
      `nodes "labelled" is forbidden: is not allowed to modify labels: ${key}`,
    );
  }
  await patch({ labels: { "kubernetes.io/arch": "arm64", "example.com/role": null } });
  const ownerReferences = [{ apiVersion: "v1", kind: "Node", name: "labelled", uid: "u" }];
  await expect(patch({ ownerReferences })).rejects.toThrow('node "labelled" is not allowed to modify ownerReferences');
});

// Upstream's admitCSINode.
test("allows an agent only its own CSINode", async () => {
  const agent = cluster.plane.server.client({ name: "system:node:stored", groups: ["system:nodes"] });
  const csiNode = (name: string): CSINode => ({ metadata: { name }, spec: { drivers: [] } });
  const words = "can only access CSINode with the same name as the requesting node";
  await expect(agent.create(csiNodes, csiNode("other"))).rejects.toThrow(words);
  const own = await agent.create(csiNodes, csiNode("stored"));
  await cluster.client.create(csiNodes, csiNode("other"));
  const foreign = await agent.get(csiNodes, { name: "other" });
  const drivers = [{ name: "a.example", nodeID: "i", topologyKeys: [] }];
  await expect(agent.update(csiNodes, { ...foreign, spec: { drivers } })).rejects.toThrow(words);
  await expect(agent.delete(csiNodes, { name: "other" })).rejects.toThrow(words);
  await agent.update(csiNodes, { ...own, spec: { drivers } });
  await agent.delete(csiNodes, { name: "stored" });
});

// Seen on v1.37.2: a pod that asks for a sandbox must not run without it.
test("refuses a pod with a RuntimeClass or an overhead that no class gives", async () => {
  expect((await create("sandboxed", { runtimeClassName: "gvisor" })).json).toMatchObject({
    code: 403,
    message: 'pods "sandboxed" is forbidden: pod rejected: RuntimeClass "gvisor" not found',
  });
  expect((await create("heavy", { overhead: { cpu: "1" } })).json).toMatchObject({
    code: 403,
    message:
      'pods "heavy" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
  });
});

// Seen on v1.37.2.
test("registers a node with the taint that keeps pods away until its conditions are known", async () => {
  const register = async (taints: object[]) => {
    const node = { metadata: { name: "new" }, spec: { taints } };
    return (await cluster.ask("POST", "/api/v1/nodes?dryRun=All", node)).json.spec.taints;
  };
  const notReady = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };
  const own = { key: "mine", effect: "NoExecute" };
  expect(await register([])).toEqual([notReady]);
  expect(await register([own])).toEqual([own, notReady]);
  expect(await register([{ ...notReady, value: "x" }])).toEqual([{ ...notReady, value: "x" }]);
});

// Upstream answers the same message with 500; a mistake of the client is no failure of the server.
test("refuses a binding to a name that no node can have", async () => {
  await create("bindable", { schedulerName: "none" });
  const bind = async (body: object) => {
    const { status, json } = await cluster.ask("POST", `${path}/bindable/binding`, body);
    return [status, json.message];
  };
  const metadata = { name: "bindable" };
  expect(await bind({ metadata, target: { name: "bad name" } })).toEqual([
    422,
    expect.stringContaining('target.name: Invalid value: "bad name": a lowercase RFC 1123 subdomain'),
  ]);
  expect(await bind({ metadata, target: {} })).toEqual([422, expect.stringContaining("target.name: Required value")]);
  expect(await bind({ metadata, target: { kind: "Pod", name: "x" } })).toEqual([
    422,
    expect.stringContaining('target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"'),
  ]);
  const unnamed = "name in URL does not match name in Binding object";
  expect(await bind({ target: { kind: "Node", name: "x" } })).toEqual([400, unnamed]);
  expect(await bind({ metadata: { name: "other" }, target: { kind: "Node", name: "x" } })).toEqual([400, unnamed]);
  expect((await cluster.ask("GET", `${path}/bindable`)).json.spec.nodeName).toBeUndefined();
});

// Seen on v1.37.2.
test("accepts an empty request for a token", async () => {
  const token = "/api/v1/namespaces/default/serviceaccounts/default/token";
  for (const body of [{}, { spec: null }]) {
    const { status, json } = await cluster.ask("POST", token, body);
    expect([status, json.spec.expirationSeconds, typeof json.status.token]).toEqual([201, 3600, "string"]);
  }
});

// Seen on v1.37.2.
test("refuses text that is no address, and addresses of another family than the first", async () => {
  const services = "/api/v1/namespaces/default/services?dryRun=All";
  const refusal = async (spec: object) => {
    const body = { metadata: { name: "s" }, spec: { ports: [{ port: 80 }], ...spec } };
    return (await cluster.ask("POST", services, body)).json.message;
  };
  const valid = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
  expect(await refusal({ clusterIP: "foo" })).toBe(
    `Service "s" is invalid: spec.clusterIPs[0]: Invalid value: "foo": ${valid}`,
  );
  expect(await refusal({ clusterIPs: [""] })).toBe(
    `Service "s" is invalid: [spec.clusterIPs: Invalid value: [""]: must be empty when \`clusterIP\` is not specified, spec.clusterIPs[0]: Invalid value: "": ${valid}]`,
  );
  const name = {
    metadata: { name: "s" },
    spec: { type: "ExternalName", externalName: "a.b", internalTrafficPolicy: "Cluster" },
  };
  expect((await cluster.ask("POST", services, name)).json.spec).not.toHaveProperty("internalTrafficPolicy");
});
