import { expect, test } from "vitest";
import type { EndpointSlice, Service } from "#api";
import { rcodes, types } from "./message.ts";
import { parseName, textOf } from "./name.ts";
import { Zone } from "./zone.ts";

const service = (name: string, spec: Service["spec"], namespace = "default"): Service => ({
  metadata: { name, namespace },
  spec,
});

const slice = (name: string, owner: string, addresses: string[]): EndpointSlice => ({
  metadata: { name, namespace: "default", labels: { "kubernetes.io/service-name": owner } },
  addressType: "IPv4",
  endpoints: addresses.map((address) => ({ addresses: [address] })),
  ports: [],
});

function open(now = () => 1) {
  const zone = new Zone({ domain: "cluster.local", addresses: ["10.244.0.1"], now });
  zone.setNamespace("default");
  zone.setNamespace("kube-system");
  const ask = (name: string, type: number = types.A) => zone.answer(parseName(name)!, type);
  const addresses = (name: string) => ask(name)?.answers.map(({ data }) => [...data.head].join("."));
  const pointers = (name: string) => ask(name, types.PTR)?.answers.map(({ data }) => textOf(data.names[0]!));
  return { zone, ask, addresses, pointers };
}

const headless = service("h", { clusterIP: "None" });
const name = "h.default.svc.cluster.local";

test("answers follow each change of a slice and of a service", () => {
  const { zone, ask, addresses } = open();
  zone.setService(headless);
  expect(ask(name)?.rcode).toBe(rcodes.NXDOMAIN);
  zone.setSlice(slice("one", "h", ["10.1.0.1"]));
  expect(addresses(name)).toEqual(["10.1.0.1"]);
  zone.setSlice(slice("two", "h", ["10.1.0.2"]));
  expect(addresses(name)).toEqual(["10.1.0.1", "10.1.0.2"]);
  zone.setSlice(slice("one", "h", ["10.1.0.3"]));
  expect(addresses(name)).toEqual(["10.1.0.3", "10.1.0.2"]);
  zone.deleteSlice(slice("one", "h", []));
  expect(addresses(name)).toEqual(["10.1.0.2"]);
  zone.setService(service("h", { clusterIP: "10.96.0.7", ports: [{ port: 1 }] }));
  expect(addresses(name)).toEqual(["10.96.0.7"]);
  zone.deleteService(headless);
  expect(ask(name)?.rcode).toBe(rcodes.NXDOMAIN);
});

test("addresses lead to the services that have them now", () => {
  const { zone, pointers } = open();
  zone.setService(headless);
  zone.setSlice(slice("one", "h", ["10.1.0.1"]));
  zone.setSlice(slice("two", "h", ["10.1.0.1"]));
  expect(pointers("1.0.1.10.in-addr.arpa")).toEqual([`10-1-0-1.${name}.`]);
  zone.deleteSlice(slice("two", "h", []));
  expect(pointers("1.0.1.10.in-addr.arpa")).toEqual([`10-1-0-1.${name}.`]);
  zone.setSlice(slice("one", "other", ["10.1.0.1"]));
  expect(pointers("1.0.1.10.in-addr.arpa")).toEqual(["10-1-0-1.other.default.svc.cluster.local."]);
  zone.deleteSlice(slice("one", "other", []));
  expect(pointers("1.0.1.10.in-addr.arpa")).toBeUndefined();
  zone.setService(service("c", { clusterIP: "10.96.0.7", ports: [{ port: 1 }] }));
  expect(pointers("7.0.96.10.in-addr.arpa")).toEqual(["c.default.svc.cluster.local."]);
  zone.setService(service("c", { clusterIP: "10.96.0.8", ports: [{ port: 1 }] }));
  expect(pointers("7.0.96.10.in-addr.arpa")).toBeUndefined();
});

test("a change leaves the stored answers of other services", () => {
  const { zone, ask } = open();
  zone.setService(service("a", { clusterIP: "10.96.0.7", ports: [{ port: 1 }] }));
  zone.setService(service("b", { clusterIP: "10.96.0.8", ports: [{ port: 1 }] }));
  const a = ask("a.default.svc.cluster.local");
  const b = ask("b.default.svc.cluster.local");
  zone.setSlice(slice("one", "a", ["10.1.0.1"]));
  expect(ask("a.default.svc.cluster.local")).not.toBe(a);
  expect(ask("b.default.svc.cluster.local")).toBe(b);
});

test("a name in a namespace that has been deleted does not exist", () => {
  const { zone, ask } = open();
  zone.setService(service("a", { clusterIP: "10.96.0.7", ports: [{ port: 1 }] }));
  expect(ask("a.default.svc.cluster.local")?.rcode).toBe(rcodes.NOERROR);
  zone.deleteNamespace("default");
  expect(ask("a.default.svc.cluster.local")?.rcode).toBe(rcodes.NXDOMAIN);
  expect(ask("1-2-3-4.default.pod.cluster.local")?.rcode).toBe(rcodes.NXDOMAIN);
});

test("the serial of the SOA is the time of the last change", () => {
  let now = 100;
  const { zone, ask } = open(() => now);
  const serial = () => ask("cluster.local", types.SOA)!.answers[0]!.data.tail.readUInt32BE(0);
  expect(serial()).toBe(100);
  now = 200;
  zone.setService(headless);
  expect(serial()).toBe(200);
});

test("the server's own address is that of its service once it exists", () => {
  const { zone, addresses } = open();
  expect(addresses("ns.dns.cluster.local")).toEqual(["10.244.0.1"]);
  zone.setService(service("kube-dns", { clusterIP: "10.96.0.10", ports: [{ port: 53 }] }, "kube-system"));
  expect(addresses("ns.dns.cluster.local")).toEqual(["10.96.0.10"]);
});

test("names of other zones are left to other servers", () => {
  const { ask } = open();
  expect(ask("example.test")).toBeUndefined();
  expect(ask("mycluster.local")).toBeUndefined();
  expect(ask("9.9.9.9.in-addr.arpa", types.PTR)).toBeUndefined();
  expect(() => new Zone({ domain: "a..b", addresses: [], now: () => 0 })).toThrow("a..b is not a domain name");
});

test("names that would be too long do not exist", () => {
  const { zone, ask } = open();
  const long = Array.from({ length: 3 }, () => "x".repeat(62)).join(".");
  const deep = new Zone({ domain: long, addresses: [], now: () => 0 });
  deep.setNamespace("default");
  deep.setService(headless);
  deep.setSlice(slice("one", "h", ["10.1.0.1"]));
  expect(deep.answer(parseName(`h.default.svc.${long}`)!, types.SRV)?.rcode).toBe(rcodes.NOERROR);
  zone.setService(service("e", { type: "ExternalName", externalName: `${"x".repeat(64)}.test` }));
  expect(ask("e.default.svc.cluster.local")?.rcode).toBe(rcodes.NXDOMAIN);
});
