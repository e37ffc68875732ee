import { afterEach, beforeEach, expect, test } from "vitest";
import { type EndpointSlice, type Endpoints, endpointSlices, endpoints as endpointsKind, services } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";
import { make } from "#test/make";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await openCluster();
});
afterEach(() => cluster.close());

const namespace = "default";
const at = { namespace, name: "ext" };
const serviceOf = (selector?: Record<string, string>) => {
  const made = make.service({ metadata: { name: "ext" }, spec: { ports: [{ port: 80 }] } });
  const { selector: _, ...spec } = made.spec!;
  return { ...made, spec: { ...spec, ...(selector ? { selector } : {}) } };
};
const endpointsOf = (subsets: Endpoints["subsets"], metadata: object = {}): Endpoints =>
  ({ metadata: { ...at, ...metadata }, ...(subsets ? { subsets } : {}) }) as Endpoints;
const mirrored = async (): Promise<EndpointSlice[]> =>
  (await cluster.client.list(endpointSlices, { namespace })).items.filter(
    ({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === "ext",
  );
const contents = async () =>
  (await mirrored())
    .map(({ addressType, ports, endpoints = [] }) => ({
      addressType,
      ports,
      endpoints: [...endpoints].sort((a, b) => (a.addresses[0]! < b.addresses[0]! ? -1 : 1)),
    }))
    .sort((a, b) => (JSON.stringify([a.ports, a.addressType]) < JSON.stringify([b.ports, b.addressType]) ? -1 : 1));

const full: Endpoints["subsets"] = [
  {
    addresses: [{ ip: "10.1.0.2", hostname: "two", nodeName: "one" }, { ip: "10.1.0.1" }],
    notReadyAddresses: [{ ip: "10.1.0.3" }],
    ports: [
      { name: "http", port: 80 },
      { name: "dns", port: 53, protocol: "UDP" },
    ],
  },
  { addresses: [{ ip: "10.1.0.1" }, { ip: "fd00::1" }], ports: [{ name: "metrics", port: 9090, appProtocol: "http" }] },
  { addresses: [{ ip: "10.1.0.9" }], ports: [{ name: "http", port: 80 }] },
];

const one = { addresses: ["10.1.0.1"], conditions: { ready: true } };
const two = { addresses: ["10.1.0.2"], conditions: { ready: true }, hostname: "two", nodeName: "one" };
const three = { addresses: ["10.1.0.3"], conditions: { ready: false } };
const nine = { addresses: ["10.1.0.9"], conditions: { ready: true } };
const metrics = { appProtocol: "http", name: "metrics", port: 9090, protocol: "TCP" };

// As kube-controller-manager v1.37.2 mirrors the same object.
test("mirrors Endpoints by families and ports, with labels and annotations", async () => {
  await cluster.client.create(services, serviceOf());
  const annotations = {
    note: "kept",
    "kubectl.kubernetes.io/last-applied-configuration": "x",
    "endpoints.kubernetes.io/last-change-trigger-time": "2020-01-01T00:00:00Z",
  };
  const source = await cluster.client.create(endpointsKind, endpointsOf(full, { labels: { own: "1" }, annotations }));
  await cluster.until(async () => (await mirrored()).length === 4);
  expect(await contents()).toEqual([
    { addressType: "IPv4", ports: [{ name: "dns", port: 53, protocol: "UDP" }], endpoints: [one, two, three] },
    { addressType: "IPv4", ports: [{ name: "http", port: 80, protocol: "TCP" }], endpoints: [one, two, three, nine] },
    { addressType: "IPv4", ports: [metrics], endpoints: [one] },
    { addressType: "IPv6", ports: [metrics], endpoints: [{ addresses: ["fd00::1"], conditions: { ready: true } }] },
  ]);
  for (const { metadata } of await mirrored()) {
    expect(metadata).toMatchObject({ generateName: "ext-", annotations: { note: "kept" } });
    expect(metadata.labels).toEqual({
      own: "1",
      "kubernetes.io/service-name": "ext",
      "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    });
    const owner = { apiVersion: "v1", kind: "Endpoints", name: "ext", uid: source.metadata.uid };
    expect(metadata.ownerReferences).toEqual([{ ...owner, controller: true, blockOwnerDeletion: true }]);
  }
});

const addressesNow = async () =>
  (await contents()).flatMap(({ endpoints }) => endpoints.map(({ addresses }) => addresses[0]));
const patch = (value: object) => cluster.client.patch(endpointsKind, at, value, { type: "merge" });

test("follows changes in the same slice, and repairs what others change", async () => {
  await cluster.client.create(services, serviceOf());
  await cluster.client.create(endpointsKind, endpointsOf([{ addresses: [{ ip: "10.1.0.1" }], ports: [{ port: 80 }] }]));
  const [first] = await cluster.until(async () => (await mirrored()).length === 1 && (await mirrored()));
  await patch({ subsets: [{ addresses: [{ ip: "10.1.0.7" }], ports: [{ port: 81 }] }] });
  await cluster.until(async () => (await addressesNow()).join() === "10.1.0.7");
  const [again] = await mirrored();
  expect([again!.metadata.name, again!.ports?.[0]?.port]).toEqual([first!.metadata.name, 81]);
  await cluster.client.delete(endpointSlices, { namespace, name: first!.metadata.name ?? "" });
  await cluster.until(async () => (await addressesNow()).join() === "10.1.0.7");
  await patch({ subsets: null });
  await cluster.until(async () => (await mirrored()).length === 0);
});

test("mirrors only what upstream mirrors", async () => {
  const subsets = [{ addresses: [{ ip: "10.1.0.1" }], ports: [{ port: 80 }] }];
  // There is no service yet.
  await cluster.client.create(endpointsKind, endpointsOf(subsets));
  await cluster.quiet();
  expect(await mirrored()).toEqual([]);
  await cluster.client.create(services, serviceOf());
  await cluster.until(async () => (await mirrored()).length === 1);
  for (const metadata of [
    { labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
    { annotations: { "control-plane.alpha.kubernetes.io/leader": "{}" } },
  ]) {
    await patch({ metadata });
    await cluster.until(async () => (await mirrored()).length === 0);
    await patch({ metadata: { labels: null, annotations: null } });
    await cluster.until(async () => (await mirrored()).length === 1);
  }
  // A service that gets a selector has the other controller's slices.
  await cluster.client.patch(services, at, { spec: { selector: { app: "x" } } }, { type: "merge" });
  await cluster.until(async () =>
    (await mirrored()).every(({ metadata }) => !metadata.labels?.[managed]?.includes("mirroring")),
  );
  // The endpoints of the selector are written before those that follow.
  await cluster.quiet();
  await cluster.client.patch(services, at, { spec: { selector: null } }, { type: "merge" });
  await patch({ subsets });
  await cluster.until(async () => (await addressesNow()).includes("10.1.0.1"));
  await cluster.client.delete(services, at);
  await cluster.until(async () => (await mirrored()).length === 0);
});

const managed = "endpointslice.kubernetes.io/managed-by";

test("beyond a thousand addresses of a subset the rest is left out, and an event says so", async () => {
  const addresses = Array.from({ length: 1002 }, (_, index) => ({
    ip: `10.2.${Math.floor(index / 250)}.${(index % 250) + 1}`,
  }));
  await cluster.client.create(services, serviceOf());
  await cluster.client.create(endpointsKind, endpointsOf([{ addresses, ports: [{ port: 80 }] }]));
  await cluster.until(async () => (await addressesNow()).length === 1000);
  const { json } = await cluster.until(async () => {
    const found = await cluster.ask("GET", `/api/v1/namespaces/${namespace}/events`);
    return found.json.items.length > 0 && found;
  });
  expect(json.items[0]).toMatchObject({
    reason: "TooManyAddressesToMirror",
    message: "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 2 addresses were skipped",
    involvedObject: { kind: "Endpoints", name: "ext" },
  });
});
