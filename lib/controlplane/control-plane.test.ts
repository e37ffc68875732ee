import { afterEach, beforeEach, expect, test } from "vitest";
import { deployments, pods, replicaSets, services } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await openCluster();
});
afterEach(() => cluster.close());

const web = (image: string, replicas = 3) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: {
    replicas,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image }] } },
  },
});
const path = "/apis/apps/v1/namespaces/default/deployments";

async function rolledOut(image: string) {
  return cluster.until(async () => {
    await cluster.playAgents();
    const { items } = await cluster.client.list(pods, { namespace: "default" });
    const good = items.filter((pod) => pod.spec?.containers[0]?.image === image && pod.status?.phase === "Running");
    const deployment = await cluster.client.get(deployments, { namespace: "default", name: "web" });
    return good.length === 3 && items.length === 3 && deployment.status?.availableReplicas === 3 && deployment;
  });
}

test("a deployment becomes running pods on the nodes, and rolls to another image", async () => {
  await cluster.addNode("one");
  await cluster.addNode("two");
  await cluster.quiet();
  const made = await cluster.ask("POST", path, web("web:1"));
  expect(made.json).toMatchObject({ kind: "Deployment", metadata: { generation: 1 } });
  const first = await rolledOut("web:1");
  expect(first.metadata.annotations).toMatchObject({ "deployment.kubernetes.io/revision": "1" });
  const nodesUsed = new Set((await cluster.client.list(pods)).items.map(({ spec }) => spec?.nodeName));
  expect(nodesUsed.size).toBe(2);
  const patch = { spec: { template: { spec: { containers: [{ name: "web", image: "web:2" }] } } } };
  await cluster.ask("PATCH", `${path}/web`, patch, { "content-type": "application/strategic-merge-patch+json" });
  const second = await rolledOut("web:2");
  expect(second.metadata.annotations).toMatchObject({ "deployment.kubernetes.io/revision": "2" });
  expect(second.status?.conditions?.map(({ type, status }) => [type, status])).toEqual([
    ["Available", "True"],
    ["Progressing", "True"],
  ]);
  const sets = (await cluster.client.list(replicaSets, { namespace: "default" })).items;
  expect(sets.map(({ spec }) => spec?.replicas).sort()).toEqual([0, 3]);
  const gone = await cluster.ask("DELETE", `${path}/web`);
  expect(gone.status).toBe(200);
  await cluster.until(async () => {
    await cluster.playAgents();
    return (
      (await cluster.client.list(pods)).items.length === 0 &&
      (await cluster.client.list(replicaSets)).items.length === 0
    );
  });
}, 30_000);

test("a service gets an address and endpoints", async () => {
  await cluster.addNode("one");
  await cluster.ask("POST", path, web("web:1"));
  await rolledOut("web:1");
  const spec = { selector: { app: "web" }, ports: [{ port: 80 }], type: "NodePort" };
  const made = await cluster.ask("POST", "/api/v1/namespaces/default/services", {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec,
  });
  expect(made.json.spec.clusterIP).toMatch(/^10\.96\./);
  expect(made.json.spec.ports[0].nodePort).toBeGreaterThanOrEqual(30000);
  const slice = await cluster.until(async () => {
    const { json } = await cluster.ask(
      "GET",
      "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name=web",
    );
    return json.items[0]?.endpoints?.length === 3 && json.items[0];
  });
  expect(slice.ports).toEqual([{ name: "", port: 80, protocol: "TCP" }]);
  const kept = await cluster.client.get(services, { namespace: "default", name: "web" });
  const again = await cluster.ask("PUT", "/api/v1/namespaces/default/services/web", {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec,
  });
  expect(again.json.spec.clusterIP).toBe(kept.spec?.clusterIP);
});

test("deletes a namespace when it is empty, and refuses creates meanwhile", async () => {
  await cluster.ask("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: "old" } });
  await cluster.until(
    async () => (await cluster.ask("GET", "/api/v1/namespaces/old/serviceaccounts/default")).status === 200,
  );
  await cluster.ask("POST", "/api/v1/namespaces/old/configmaps", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "a" },
  });
  const deleted = await cluster.ask("DELETE", "/api/v1/namespaces/old");
  expect(deleted.json.status.phase).toBe("Terminating");
  const refused = await cluster.ask("POST", "/api/v1/namespaces/old/configmaps", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "b" },
  });
  expect(refused.json).toMatchObject({ code: 403, details: { causes: [{ reason: "NamespaceTerminating" }] } });
  await cluster.until(async () => (await cluster.ask("GET", "/api/v1/namespaces/old")).status === 404);
});

test("records why a pod fits no node, and places it when a node is added", async () => {
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p" },
    spec: { containers: [{ name: "c", image: "i", resources: { requests: { cpu: "2" } } }] },
  };
  await cluster.addNode("small", { status: { allocatable: { cpu: "1", memory: "1Gi", pods: "10" } } } as never);
  // Until then every new node has a taint that keeps pods away.
  await cluster.quiet();
  await cluster.ask("POST", "/api/v1/namespaces/default/pods", pod);
  const told = await cluster.until(async () => {
    const { json } = await cluster.ask("GET", "/api/v1/namespaces/default/pods/p");
    return json.status.conditions?.find((condition: { type: string }) => condition.type === "PodScheduled");
  });
  expect(told).toMatchObject({
    status: "False",
    reason: "Unschedulable",
    message: "0/1 nodes are available: 1 Insufficient cpu.",
  });
  await cluster.addNode("large");
  await cluster.until(
    async () => (await cluster.ask("GET", "/api/v1/namespaces/default/pods/p")).json.spec.nodeName === "large",
  );
});
