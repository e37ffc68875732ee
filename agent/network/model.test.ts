import { describe, expect, test } from "vitest";
import type { EndpointSlice } from "#api";
import { reachable } from "./categorize.ts";
import { changesBetween, proxyPortsOf, ServiceModel } from "./model.ts";
import { Redirects } from "./redirects.ts";
import { service, slice } from "./testing/objects.ts";

const node = { name: "here", zone: "a" };
const options = { family: "IPv4" } as const;

const only = (spec: object, endpoints: string[]) => proxyPortsOf(service(spec), [slice(endpoints)], node, options)[0]!;
const ips = (endpoints: readonly { ip: string }[]) => endpoints.map(({ ip }) => ip.replace("10.0.0.", "")).join(" ");

describe("endpoints that a node uses (CategorizeEndpoints, topologyModeFromHints of v1.37.2)", () => {
  const external = { type: "NodePort", ports: [{ port: 80, protocol: "TCP", nodePort: 30080 }] };
  const rows: [string, object, string[], { cluster: string; local: string; hasAny: boolean }][] = [
    ["none", {}, [], { cluster: "", local: "", hasAny: false }],
    ["ready ones only", {}, ["10.0.0.1", "10.0.0.2 r"], { cluster: "1", local: "", hasAny: true }],
    [
      "serving and terminating without ready ones",
      {},
      ["10.0.0.1 t", "10.0.0.2 r", "10.0.0.3 t s"],
      { cluster: "1", local: "", hasAny: true },
    ],
    ["a ready one beside a terminating one", {}, ["10.0.0.1 t", "10.0.0.2"], { cluster: "2", local: "", hasAny: true }],
    [
      "the own zone",
      {},
      ["10.0.0.1 z=a", "10.0.0.2 z=b", "10.0.0.3 z=b z=a"],
      { cluster: "1 3", local: "", hasAny: true },
    ],
    ["all if one has no zone hint", {}, ["10.0.0.1 z=a", "10.0.0.2"], { cluster: "1 2", local: "", hasAny: true }],
    [
      "all if no hint names the zone",
      {},
      ["10.0.0.1 z=c", "10.0.0.2 z=b"],
      { cluster: "1 2", local: "", hasAny: true },
    ],
    [
      "hints of unready ones do not count",
      {},
      ["10.0.0.1 z=b", "10.0.0.2 r z=a"],
      { cluster: "1", local: "", hasAny: true },
    ],
    [
      "the own node before the zone",
      {},
      ["10.0.0.1 n=here z=b", "10.0.0.2 n=there z=a"],
      { cluster: "1", local: "", hasAny: true },
    ],
    [
      "the zone if no hint names the node",
      {},
      ["10.0.0.1 n=x z=a", "10.0.0.2 n=y z=b"],
      { cluster: "1", local: "", hasAny: true },
    ],
    [
      "terminating ones whatever their hints",
      {},
      ["10.0.0.1 t z=b", "10.0.0.2 t z=a"],
      { cluster: "1 2", local: "", hasAny: true },
    ],
    [
      "internal Local: those on the node",
      { internalTrafficPolicy: "Local" },
      ["10.0.0.1@here", "10.0.0.2@there"],
      { cluster: "", local: "1", hasAny: true },
    ],
    [
      "internal Local without local ones",
      { internalTrafficPolicy: "Local" },
      ["10.0.0.2@there", "10.0.0.3"],
      { cluster: "", local: "", hasAny: true },
    ],
    [
      "external Local: both lists, each with its own fallback",
      { ...external, externalTrafficPolicy: "Local" },
      ["10.0.0.1@here t", "10.0.0.2@there", "10.0.0.3@here r"],
      { cluster: "2", local: "1", hasAny: true },
    ],
    [
      "external Local on a service without external frontends",
      { externalTrafficPolicy: "Local" },
      ["10.0.0.1@here"],
      { cluster: "1", local: "", hasAny: true },
    ],
    [
      "internal Local with external Cluster",
      { ...external, internalTrafficPolicy: "Local" },
      ["10.0.0.1@here", "10.0.0.2@there"],
      { cluster: "1 2", local: "1", hasAny: true },
    ],
  ];
  test.each(rows)("%s", (_name, spec, endpoints, expected) => {
    const { cluster, local, hasAny } = only(spec, endpoints);
    expect({ cluster: ips(cluster), local: ips(local), hasAny }).toEqual(expected);
  });

  test("reachable endpoints are those of both policies, each once", () => {
    const spec = { ...external, externalTrafficPolicy: "Local" };
    expect(ips(reachable(only(spec, ["10.0.0.1@here", "10.0.0.2@there"])))).toBe("1 2");
    expect(ips(reachable(only(spec, ["10.0.0.1@here t", "10.0.0.2@there"])))).toBe("2 1");
  });
});

describe("endpoints of several slices (EndpointSliceCache of v1.37.2)", () => {
  const ofSlices = (...slices: EndpointSlice[]) => proxyPortsOf(service(), slices, node, options)[0]!;
  test("an address in two slices counts once, and a running pod before a terminating one", () => {
    for (const order of [
      ["10.0.0.1 t", "10.0.0.1"],
      ["10.0.0.1", "10.0.0.1 t"],
    ]) {
      const found = ofSlices(slice([order[0]!, "10.0.0.2"]), slice([order[1]!], {}, "web-2"));
      expect(ips(found.cluster)).toBe("1 2");
    }
  });
  test("slices of another family, other ports and other protocols are left out", () => {
    expect(ofSlices(slice(["10.0.0.1"], { addressType: "IPv6" })).hasAny).toBe(false);
    expect(ofSlices(slice(["10.0.0.1"], { ports: [{ name: "web", port: 1, protocol: "TCP" }] })).hasAny).toBe(false);
    expect(ofSlices(slice(["10.0.0.1"], { ports: [{ name: "", port: 1, protocol: "UDP" }] })).hasAny).toBe(false);
    expect(ofSlices(slice(["10.0.0.1"], { ports: [{ name: "", protocol: "TCP" }] })).hasAny).toBe(false);
  });
  test("conditions that are absent mean ready and serving", () => {
    const found = ofSlices(slice([], { endpoints: [{ addresses: ["10.0.0.7"] }] }));
    expect(found.cluster).toMatchObject([{ ip: "10.0.0.7", isReady: true, isServing: true, isTerminating: false }]);
  });
});

describe("frontends (newBaseServiceInfo, ShouldSkipService of v1.37.2)", () => {
  const ports = (spec: object, more: object = {}) => proxyPortsOf(service(spec, more), [], node, options);
  test("headless services, ExternalName and services of another proxy are left out", () => {
    expect(ports({ clusterIP: "None", clusterIPs: ["None"] })).toEqual([]);
    expect(ports({ type: "ExternalName", externalName: "example.com" })).toEqual([]);
    const labels = { "service.kubernetes.io/service-proxy-name": "" };
    expect(ports({}, { metadata: { labels } })).toEqual([]);
    expect(ports({ ipFamilies: ["IPv6"], clusterIPs: ["fd00::1"], clusterIP: "fd00::1" })).toEqual([]);
  });
  test("ports have their names, protocols and node ports", () => {
    const two = [
      { name: "dns", port: 53, protocol: "UDP", nodePort: 30053 },
      { name: "dns-tcp", port: 53 },
    ];
    expect(ports({ type: "NodePort", ports: two })).toMatchObject([
      { name: "default/web:dns", protocol: "UDP", port: 53, nodePort: 30053 },
      { name: "default/web:dns-tcp", protocol: "TCP", port: 53, nodePort: 0 },
    ]);
  });
  test("load balancer addresses, their source ranges and the health check port", () => {
    const spec = {
      type: "LoadBalancer",
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 32000,
      externalIPs: ["192.0.2.9", "2001:db8::1"],
      loadBalancerSourceRanges: [" 203.0.113.7/24 ", "fd00::/8"],
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
    };
    const ingress = [{ ip: "198.51.100.1" }, { ip: "198.51.100.2", ipMode: "Proxy" }, { hostname: "lb" }];
    const [found] = ports(spec, { status: { loadBalancer: { ingress } } });
    expect(found).toMatchObject({
      loadBalancerIPs: ["198.51.100.1"],
      externalIPs: ["192.0.2.9"],
      sourceRanges: ["203.0.113.0/24"],
      healthCheckNodePort: 32000,
      externalLocal: true,
      affinitySeconds: 60,
    });
    expect(ports({ ...spec, loadBalancerSourceRanges: ["203.0.113.0/24", "0.0.0.0/0"] })[0]?.sourceRanges).toEqual([]);
    expect(ports({ ...spec, type: "NodePort" })[0]?.healthCheckNodePort).toBe(0);
  });
  test("a redirect replaces the endpoints of its port", () => {
    const redirects = new Redirects();
    redirects.set("default/web", { "80/TCP": { address: "169.254.7.1", port: 5353 } });
    const [found] = proxyPortsOf(service(), [slice(["10.0.0.1"])], node, { ...options, redirects });
    expect(found?.cluster).toMatchObject([{ ip: "169.254.7.1", port: 5353, isLocal: true, isReady: true }]);
    redirects.delete("default/web");
    const [kept] = proxyPortsOf(service(), [slice(["10.0.0.1"])], node, { ...options, redirects });
    expect(kept?.cluster).toMatchObject([{ ip: "10.0.0.1" }]);
  });
});

describe("changes", () => {
  test("are those of ports that differ", () => {
    const before = only({}, ["10.0.0.1"]);
    expect(changesBetween([before], [only({}, ["10.0.0.1"])])).toEqual([]);
    const after = only({}, ["10.0.0.2"]);
    expect(changesBetween([before], [after])).toEqual([{ before, after }]);
    expect(changesBetween([before], [])).toEqual([{ before }]);
    expect(changesBetween([], [after])).toEqual([{ after }]);
  });
  test("the model gathers changed objects until they are taken", () => {
    const model = new ServiceModel(node, options);
    model.setSlice(slice(["10.0.0.1"]), false);
    expect(model.take()).toEqual([]);
    model.setService("default/web", service());
    expect(ips(model.take()[0]?.after?.cluster ?? [])).toBe("1");
    expect(model.take()).toEqual([]);
    model.setSlice(slice(["10.0.0.2"], {}, "web-2"), false);
    model.setSlice(slice(["10.0.0.1"]), true);
    const [moved] = model.take();
    expect([ips(moved?.before?.cluster ?? []), ips(moved?.after?.cluster ?? [])]).toEqual(["1", "2"]);
    // The slice's label now names another service.
    const labels = { "kubernetes.io/service-name": "other" };
    const metadata = { name: "web-2", namespace: "default", labels };
    model.setSlice(slice(["10.0.0.2"], { metadata } as Partial<EndpointSlice>), false);
    expect(model.take()[0]?.after?.hasAny).toBe(false);
    model.setService("default/web", undefined);
    expect(model.take()).toHaveLength(1);
    expect([...model.ports()]).toEqual([]);
  });
  test("another zone of the node chooses other endpoints", () => {
    const model = new ServiceModel(node, options);
    model.setService("default/web", service());
    model.setSlice(slice(["10.0.0.1 z=a", "10.0.0.2 z=b"]), false);
    model.take();
    model.setNode({ ...node, zone: "b" });
    expect(ips(model.take()[0]?.after?.cluster ?? [])).toBe("2");
  });
});
