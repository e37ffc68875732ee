import { expect, test } from "vitest";
import { endpointSlices, endpoints, services } from "#api";
import { systemClock } from "#base";
import { openCluster } from "#test/cluster";
import { bootstrap } from "./bootstrap.ts";

const name = { namespace: "kube-system", name: "kube-dns" };

// Labels, ports and address: kubeadm v1.37 (cmd/kubeadm/app/phases/addons/dns, CoreDNSService).
test("creates the service of cluster DNS at the tenth address", async () => {
  const cluster = await openCluster();
  const { metadata, spec } = await cluster.client.get(services, name);
  expect(metadata.labels).toEqual({
    "k8s-app": "kube-dns",
    "kubernetes.io/cluster-service": "true",
    "kubernetes.io/name": "CoreDNS",
  });
  expect(spec?.clusterIP).toBe("10.96.0.10");
  expect(spec?.ports?.map(({ name: port, protocol, port: number }) => [port, protocol, number])).toEqual([
    ["dns", "UDP", 53],
    ["dns-tcp", "TCP", 53],
  ]);
  await cluster.close();
});

test("leaves an existing service of cluster DNS as it is", async () => {
  const cluster = await openCluster();
  const service = await cluster.client.get(services, name);
  const own = { ...service, spec: { ...service.spec, selector: { app: "my-dns" } } };
  await cluster.client.update(services, own);
  await cluster.plane.bootstrap();
  expect((await cluster.client.get(services, name)).spec?.selector).toEqual({ app: "my-dns" });
  await cluster.close();
});

test("gives the service of cluster DNS another address where the tenth is taken", async () => {
  const cluster = await openCluster();
  await cluster.client.delete(services, name);
  await cluster.quiet();
  await cluster.client.create(services, {
    metadata: { namespace: "default", name: "older" },
    spec: { clusterIP: "10.96.0.10", ports: [{ port: 80 }] },
  });
  await cluster.plane.bootstrap();
  const { spec } = await cluster.client.get(services, name);
  expect(spec?.clusterIP).toMatch(/^10\.96\./);
  expect(spec?.clusterIP).not.toBe("10.96.0.10");
  await cluster.close();
});

test("a later start with another port corrects the endpoints of the API server", async () => {
  const cluster = await openCluster();
  const { client } = cluster;
  for (const port of [6443, 7443, 7443]) {
    const endpoint = { address: "192.0.2.1", port };
    await bootstrap({ client, clock: systemClock, serviceCidr: "10.96.0.0/16", endpoint });
    const own = { namespace: "default", name: "kubernetes" };
    const slice = await client.get(endpointSlices, own);
    expect([slice.addressType, slice.ports?.[0]?.port]).toEqual(["IPv4", port]);
    const { subsets } = await client.get(endpoints, own);
    expect(subsets?.[0]?.ports?.[0]?.port).toBe(port);
  }
  await cluster.close();
});
