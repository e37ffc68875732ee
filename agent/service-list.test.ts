import { expect, test } from "vitest";
import { type EndpointSlice, endpointSlices, type Service, services } from "#api";
import { silentLog } from "#base";
import { openCluster } from "#test/cluster";
import { type ServiceChange, ServiceList } from "./service-list.ts";

const service = (name: string): Service => ({
  metadata: { namespace: "default", name },
  spec: { ports: [{ port: 80, protocol: "TCP" }] },
});
const slice = (name: string): EndpointSlice => ({
  metadata: { namespace: "default", name, labels: { "kubernetes.io/service-name": "web" } },
  addressType: "IPv4",
  endpoints: [{ addresses: ["10.1.2.3"] }],
  ports: [],
});

test("holds services and slices that existed before, and reports later changes", async () => {
  const cluster = await openCluster();
  const { client } = cluster;
  await client.create(services, service("web"));
  await client.create(endpointSlices, slice("web-1"));
  const list = new ServiceList({ client, log: silentLog, withSlices: true, signal: new AbortController().signal });
  const running = await list.start();
  const changes: string[] = [];
  const unfollow = list.follow(({ kind, object, isDeleted }: ServiceChange) =>
    changes.push(`${kind} ${object.metadata.name}${isDeleted ? " deleted" : ""}`),
  );
  expect(list.inNamespace("default").map(({ metadata }) => metadata.name)).toEqual(["kubernetes", "web"]);
  expect([...list.slices()].map(({ metadata }) => metadata.name)).toContain("web-1");
  await client.create(endpointSlices, slice("web-2"));
  await client.delete(services, { namespace: "default", name: "web" });
  await cluster.until(async () => changes.length === 2);
  expect(changes.sort()).toEqual(["EndpointSlice web-2", "Service web deleted"]);
  expect(list.inNamespace("default").map(({ metadata }) => metadata.name)).toEqual(["kubernetes"]);
  unfollow();
  await client.delete(endpointSlices, { namespace: "default", name: "web-2" });
  await cluster.until(async () => [...list.slices()].every(({ metadata }) => metadata.name !== "web-2"));
  expect(changes).toHaveLength(2);
  await running.stop();
  await cluster.close();
});

test("a node without a network follows no slices", async () => {
  const cluster = await openCluster();
  const { client } = cluster;
  await client.create(endpointSlices, slice("web-1"));
  const list = new ServiceList({ client, log: silentLog, withSlices: false, signal: new AbortController().signal });
  const running = await list.start();
  expect([[...list.services()].length, [...list.slices()].length]).toEqual([2, 0]);
  await running.stop();
  await cluster.close();
});
