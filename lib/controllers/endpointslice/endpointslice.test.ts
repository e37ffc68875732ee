import { afterEach, beforeEach, expect, test } from "vitest";
import { type EndpointSlice, endpointSlices, endpoints as endpointsKind, events, nodes, type Pod, pods } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";
import { make, type Part } from "#test/make";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await openCluster();
  await cluster.client.create(nodes, { metadata: { name: "one" } });
});
afterEach(() => cluster.close());

const services = "/api/v1/namespaces/default/services";
const sliced = async (): Promise<EndpointSlice[]> =>
  (await cluster.client.list(endpointSlices, { namespace: "default" })).items.filter(
    ({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === "web",
  );
const endpoints = async () => (await sliced()).flatMap(({ endpoints: list }) => list ?? []);
const plain = () => cluster.client.get(endpointsKind, { namespace: "default", name: "web" });

/** A running pod with an address. */
async function run(name: string, ip: string, part: Part<Pod> = {}, isReady = true): Promise<void> {
  const base = make.pod({ metadata: { name, labels: { app: "web" } }, spec: { nodeName: "one" } });
  const merged = {
    ...base,
    ...part,
    metadata: { ...base.metadata, ...part.metadata },
    spec: { ...base.spec, ...part.spec },
  };
  await cluster.client.create(pods, merged as Pod);
  await report(name, ip, isReady);
}

const report = (name: string, ip: string, isReady: boolean) =>
  cluster.client.patch(
    pods,
    { namespace: "default", name },
    {
      status: {
        phase: "Running",
        podIP: ip,
        podIPs: [{ ip }],
        conditions: [{ type: "Ready", status: isReady ? "True" : "False" }],
      },
    },
    { type: "strategic", subresource: "status" },
  );

test("resolves named ports per pod, and separates ready from not ready pods", async () => {
  await cluster.ask("POST", services, make.service({ spec: { ports: [{ port: 80, targetPort: "http" }] } }));
  const named = (containerPort: number) => ({
    spec: { containers: [{ name: "main", image: "i", ports: [{ name: "http", containerPort }] }] },
  });
  await run("a", "10.0.0.1", named(8080));
  await run("b", "10.0.0.2", named(9090), false);
  await run("c", "10.0.0.3");
  const found = await cluster.until(async () => (await endpoints()).length === 3 && (await sliced()));
  const byPort = new Map(found.map(({ ports, endpoints: list }) => [ports?.[0]?.port, list?.[0]]));
  expect(byPort.get(8080)).toMatchObject({
    addresses: ["10.0.0.1"],
    conditions: { ready: true, serving: true, terminating: false },
    targetRef: { kind: "Pod", name: "a" },
    nodeName: "one",
  });
  expect(byPort.get(9090)).toMatchObject({ addresses: ["10.0.0.2"], conditions: { ready: false, serving: false } });
  expect(byPort.get(undefined)).toMatchObject({ addresses: ["10.0.0.3"] });
  const classic = await cluster.until(async () => (await plain()).subsets?.length === 2 && (await plain()));
  expect(classic.subsets).toMatchObject([
    { addresses: [{ ip: "10.0.0.1" }], ports: [{ port: 8080 }] },
    { notReadyAddresses: [{ ip: "10.0.0.2" }], ports: [{ port: 9090 }] },
  ]);
  await report("b", "10.0.0.2", true);
  await cluster.until(async () => (await endpoints()).filter(({ conditions }) => conditions?.ready).length === 3);
});

test("marks a terminating pod as not ready, and removes one that has ended", async () => {
  await cluster.ask("POST", services, make.service({}));
  await run("a", "10.0.0.1");
  await run("b", "10.0.0.2");
  await cluster.until(async () => (await endpoints()).length === 2);
  await cluster.client.delete(pods, { namespace: "default", name: "a" });
  await cluster.until(async () => (await endpoints()).some(({ conditions }) => conditions?.terminating));
  const going = (await endpoints()).find(({ addresses }) => addresses?.[0] === "10.0.0.1");
  expect(going?.conditions).toEqual({ ready: false, serving: true, terminating: true });
  await cluster.until(async () => (await plain()).subsets?.[0]?.addresses?.length === 1);
  await cluster.client.patch(
    pods,
    { namespace: "default", name: "b" },
    { status: { phase: "Succeeded" } },
    { type: "strategic", subresource: "status" },
  );
  await cluster.until(async () => (await endpoints()).length === 1);
});

test("publishNotReadyAddresses lists all pods; headless services get a label and host names", async () => {
  await cluster.ask(
    "POST",
    services,
    make.service({ spec: { clusterIP: "None", publishNotReadyAddresses: true, ports: undefined } as never }),
  );
  await run("a", "10.0.0.1", { spec: { hostname: "a-0", subdomain: "web" } } as Part<Pod>, false);
  const [slice] = await cluster.until(async () => (await endpoints()).length === 1 && (await sliced()));
  expect(slice?.metadata.labels).toMatchObject({ "service.kubernetes.io/headless": "" });
  expect(slice?.endpoints).toMatchObject([{ hostname: "a-0", conditions: { ready: true, serving: false } }]);
  const classic = await cluster.until(async () => (await plain()).subsets && (await plain()));
  expect(classic.subsets?.[0]?.addresses).toMatchObject([{ ip: "10.0.0.1", hostname: "a-0" }]);
});

test("splits more than a hundred endpoints into slices, and changes only one of them per change", async () => {
  for (let index = 0; index < 130; index++) await run(`p${index}`, `10.0.${index >> 7}.${(index % 128) + 1}`);
  await cluster.ask("POST", services, make.service({}));
  await cluster.until(async () => (await endpoints()).length === 130);
  const before = await sliced();
  expect(before.map(({ endpoints: list }) => list?.length).sort()).toEqual([100, 30]);
  await run("more", "10.0.9.9");
  await cluster.until(async () => (await endpoints()).length === 131);
  const after = await sliced();
  expect(after).toHaveLength(2);
  const same = after.filter(({ metadata }) =>
    before.some((slice) => slice.metadata.resourceVersion === metadata.resourceVersion),
  );
  expect(same).toHaveLength(1);
  await cluster.client.delete(pods, { namespace: "default", name: "p5" }, { gracePeriodSeconds: 0 });
  await cluster.until(async () => (await endpoints()).length === 130);
});

test("keeps the slices of a service that loses its selector, and replaces those of an earlier service of its name", async () => {
  await cluster.ask("POST", services, make.service({}));
  await run("a", "10.0.0.1");
  await cluster.until(async () => (await endpoints()).length === 1);
  await cluster.ask(
    "PATCH",
    `${services}/web`,
    { spec: { selector: null } },
    { "content-type": "application/merge-patch+json" },
  );
  // A reconcile that still used the selector would remove the pod.
  await cluster.quiet();
  await cluster.client.delete(pods, { namespace: "default", name: "a" }, { gracePeriodSeconds: 0 });
  await cluster.quiet();
  // The Endpoints object stays too, and is mirrored now (upstream's onServiceUpdate of endpointslicemirroring).
  const managers = (await sliced()).map(({ metadata }) => metadata.labels?.["endpointslice.kubernetes.io/managed-by"]);
  expect(managers.sort()).toEqual(["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"]);
  expect(await endpoints()).toHaveLength(2);
  await cluster.ask("DELETE", `${services}/web`);
  const made = await cluster.ask("POST", services, make.service({}));
  await cluster.until(async () => {
    const now = await sliced();
    return now.length === 1 && now[0]?.metadata.ownerReferences?.[0]?.uid === made.json.metadata.uid;
  });
  expect(await endpoints()).toEqual([]);
});

// As seen on v1.37.2: endpointslice's reconcileByAddressType skips pods without a node, and the endpoints controller
// sets an empty node name, which validation rejects.
test("skips a pod without an existing node and records an event", async () => {
  const gone = "skipping Pod a for Service default/web: Node  Not Found";
  await run("a", "10.0.0.1", { spec: { nodeName: "" } } as Part<Pod>);
  await cluster.ask("POST", services, make.service({}));
  const told = async (reason: string) =>
    (await cluster.client.list(events, { namespace: "default" })).items.find((event) => event.reason === reason);
  const sliceEvent = await cluster.until(() => told("FailedToUpdateEndpointSlices"));
  expect(sliceEvent.message).toBe(`Error updating Endpoint Slices for Service default/web: ${gone}`);
  expect(sliceEvent.involvedObject).toMatchObject({ kind: "Service", name: "web" });
  const plainEvent = await cluster.until(() => told("FailedToCreateEndpoint"));
  expect(plainEvent.message).toMatch(
    /^Failed to create endpoint for service default\/web: Endpoints "web" is invalid: subsets\[0\].addresses\[0\].nodeName: Invalid value: "": a lowercase RFC 1123 subdomain must/,
  );
  expect(await endpoints()).toEqual([]);
  await cluster.client.createSubresource(pods, { namespace: "default", name: "a" }, "binding", {
    metadata: { name: "a" },
    target: { kind: "Node", name: "one" },
  } as never);
  await cluster.until(async () => (await endpoints()).length === 1);
  await cluster.until(async () => (await plain()).subsets?.[0]?.addresses?.[0]?.nodeName === "one");
});
