import { expect, test } from "vitest";
import type { Node } from "#api";
import { type OverlayMode, planRoutes } from "./plan.ts";

const node = (name: string, podCIDR: string | undefined, address: string | undefined, created = 1): Node => ({
  metadata: { name, creationTimestamp: `2026-01-0${created}T00:00:00Z` },
  spec: podCIDR === undefined ? {} : { podCIDR },
  status: { addresses: address === undefined ? [] : [{ type: "InternalIP", address }] },
});
const networks = [
  { device: "lo", cidr: "127.0.0.1/8" },
  { device: "eth0", cidr: "192.0.2.1/24" },
];
const own = node("a", "10.244.0.0/24", "192.0.2.1");
const near = node("b", "10.244.1.0/24", "192.0.2.2");
const far = node("c", "10.244.2.0/24", "198.51.100.3");
const plan = (nodes: Node[], mode: OverlayMode = "auto") =>
  planRoutes({ name: "a", mode, clusterCidr: "10.244.0.0/16", networks, nodes });

const toNear = { cidr: "10.244.1.0/24", via: "192.0.2.2", device: "eth0" };
const toFar = { cidr: "10.244.2.0/24", endpoint: "10.244.2.0", mac: "0a:58:0a:f4:02:00", node: "198.51.100.3" };
const uplink = networks[1];
const ownEnd = { address: "10.244.0.0", mac: "0a:58:0a:f4:00:00", uplink };

test("routes over a common network, and by VXLAN where there is none", () => {
  expect(plan([own, near, far])).toEqual({ own: ownEnd, direct: [toNear], tunnels: [toFar] });
});

test("needs no overlay on one network", () => {
  expect(plan([own, near])).toEqual({ own: undefined, direct: [toNear], tunnels: [] });
});

test("always or never uses the overlay when configured", () => {
  const nearTunnel = { cidr: "10.244.1.0/24", endpoint: "10.244.1.0", mac: "0a:58:0a:f4:01:00", node: "192.0.2.2" };
  expect(plan([own, near, far], "always")).toEqual({ own: ownEnd, direct: [], tunnels: [nearTunnel, toFar] });
  expect(plan([own, near, far], "never")).toEqual({ own: undefined, direct: [toNear], tunnels: [] });
});

test.each([
  ["without a range", node("x", undefined, "192.0.2.9")],
  ["without an address", node("x", "10.244.9.0/24", undefined)],
  ["with a range outside of the cluster's", node("x", "10.0.0.0/8", "192.0.2.9")],
  ["with a range wider than the cluster's", node("x", "10.244.0.0/15", "192.0.2.9")],
  ["with a malformed range", node("x", "10.244.9.0", "192.0.2.9")],
  ["with IPv6", node("x", "fd00::/64", "192.0.2.9")],
  ["with a malformed address", node("x", "10.244.9.0/24", "192.0.2")],
])("has no route to a node %s", (_name, other) => {
  expect(plan([own, other])).toEqual({ own: undefined, direct: [], tunnels: [] });
});

test("has no overlay while this node has no range, or an address that is none of this machine", () => {
  const none = { own: undefined, direct: [], tunnels: [] };
  expect(plan([node("a", undefined, "192.0.2.1"), far])).toEqual(none);
  expect(plan([node("a", "10.244.0.0/24", "203.0.113.1"), far])).toEqual(none);
  expect(plan([far])).toEqual(none);
});

test("has no route to an earlier name of this machine", () => {
  expect(plan([own, node("b", "10.244.1.0/24", "192.0.2.1")]).direct).toEqual([]);
});

test("gives a range to the older of two nodes, and never routes its own", () => {
  const older = node("z", "10.244.1.0/24", "192.0.2.9", 1);
  const younger = node("b", "10.244.1.0/24", "192.0.2.2", 2);
  expect(plan([own, younger, older]).direct).toEqual([{ ...toNear, via: "192.0.2.9" }]);
  expect(plan([own, node("b", "10.244.0.0/24", "192.0.2.2", 2)]).direct).toEqual([]);
});
