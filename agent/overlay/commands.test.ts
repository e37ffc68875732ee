import { expect, test } from "vitest";
import { commandsFor } from "./commands.ts";
import type { Plan } from "./plan.ts";
import { type KernelState, type OverlayDevice, parseRouteTable } from "./state.ts";

/* The kernel's states are what iproute2 6.1 prints; e2e tests carry the commands out. */

const uplink = { device: "eth0", cidr: "192.0.2.1/24" };
const own = { address: "10.244.0.0", mac: "0a:58:0a:f4:00:00", uplink };
const toNear = { cidr: "10.244.1.0/24", via: "192.0.2.2", device: "eth0" };
const toFar = { cidr: "10.244.2.0/24", endpoint: "10.244.2.0", mac: "0a:58:0a:f4:02:00", node: "198.51.100.3" };
const plan: Plan = { own, direct: [toNear], tunnels: [toFar] };
const empty: Plan = { own: undefined, direct: [], tunnels: [] };
const device: OverlayDevice = {
  ...{ isVxlan: true, isUp: true, mac: own.mac, mtu: 1450, vni: 7, from: "192.0.2.1", port: 4789 },
  addresses: ["10.244.0.0"],
  neighbors: new Map([[toFar.endpoint, toFar.mac]]),
  forwards: new Map([[toFar.mac, toFar.node]]),
};
const farRoute = { cidr: toFar.cidr, via: toFar.endpoint, device: "skiffv-1" };
const whole: KernelState = { routes: [toNear, farRoute], device };
const commands = (wanted: Plan, actual: KernelState) =>
  commandsFor({ plan: wanted, device: "skiffv-1", vni: 7, mtu: 1450 }, actual);

const create = [
  "link add skiffv-1 address 0a:58:0a:f4:00:00 mtu 1450 type vxlan id 7 local 192.0.2.1 dstport 4789 nolearning",
  "address replace 10.244.0.0/32 dev skiffv-1",
  "link set dev skiffv-1 up",
];
const neighbor = "neighbor replace 10.244.2.0 lladdr 0a:58:0a:f4:02:00 dev skiffv-1 nud permanent";
const forward = "fdb replace 0a:58:0a:f4:02:00 dev skiffv-1 dst 198.51.100.3";
const near = "route replace 10.244.1.0/24 via 192.0.2.2 dev eth0 proto 83";
const far = "route replace 10.244.2.0/24 via 10.244.2.0 dev skiffv-1 onlink proto 83";

test("adds everything to an empty machine, and nothing to one that has it", () => {
  const nothing = { routes: [], device: undefined };
  expect(commands(plan, nothing)).toEqual({ ip: [...create, neighbor, near, far], bridge: [forward] });
  expect(commands(plan, whole)).toEqual({ ip: [], bridge: [] });
  expect(commands(empty, nothing)).toEqual({ ip: [], bridge: [] });
});

test.each([
  ["is no VXLAN", { isVxlan: false }],
  ["is down", { isUp: false }],
  ["has another hardware address", { mac: "02:00:00:00:00:01" }],
  ["has another MTU", { mtu: 1500 }],
  ["has another number", { vni: 8 }],
  ["sends from another address", { from: "192.0.2.9" }],
  ["has another port", { port: 8472 }],
  ["has no address", { addresses: [] }],
])("creates a device again that %s, with its routes", (_name, change) => {
  expect(commands(plan, { ...whole, device: { ...device, ...change } })).toEqual({
    ip: ["link delete dev skiffv-1", ...create, neighbor, far],
    bridge: [forward],
  });
});

test("deletes the routes and the overlay of an earlier process that no node needs", () => {
  const orphan = { cidr: "10.244.9.0/24", via: "192.0.2.9", device: "eth0" };
  expect(commands(empty, { ...whole, routes: [...whole.routes, orphan] })).toEqual({
    ip: [
      "link delete dev skiffv-1",
      "route delete 10.244.1.0/24 dev eth0 proto 83",
      "route delete 10.244.9.0/24 dev eth0 proto 83",
    ],
    bridge: [],
  });
});

test("deletes one of two ends of the overlay", () => {
  const other = { cidr: "10.244.3.0/24", via: "10.244.3.0", device: "skiffv-1" };
  const actual = {
    routes: [...whole.routes, other],
    device: {
      ...device,
      neighbors: new Map([...device.neighbors, ["10.244.3.0", "0a:58:0a:f4:03:00"]]),
      forwards: new Map([...device.forwards, ["0a:58:0a:f4:03:00", "198.51.100.4"]]),
    },
  };
  expect(commands(plan, actual)).toEqual({
    ip: ["route delete 10.244.3.0/24 dev skiffv-1 proto 83", "neighbor delete 10.244.3.0 dev skiffv-1"],
    bridge: ["fdb delete 0a:58:0a:f4:03:00 dev skiffv-1 dst 198.51.100.4"],
  });
});

test("moves a node that has another address, or that has joined the network", () => {
  const moved = { ...plan, tunnels: [{ ...toFar, node: "198.51.100.9" }] };
  expect(commands(moved, whole)).toEqual({
    ip: [],
    bridge: ["fdb replace 0a:58:0a:f4:02:00 dev skiffv-1 dst 198.51.100.9"],
  });
  const joined = { own: undefined, direct: [toNear, { ...toNear, cidr: toFar.cidr, via: "192.0.2.3" }], tunnels: [] };
  expect(commands(joined, whole).ip).toEqual([
    "link delete dev skiffv-1",
    "route replace 10.244.2.0/24 via 192.0.2.3 dev eth0 proto 83",
  ]);
});

test("reads the kernel's table of routes", () => {
  const text = [
    "Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT",
    "eth0	00000000	FE0200C0	0003	0	0	0	00000000	0	0	0",
    "eth0	0001F40A	020200C0	0003	0	0	0	00FFFFFF	0	0	0",
    "skiffv-1	0002F40A	0002F40A	0003	0	0	0	00FFFFFF	0	0	0",
  ].join("\n");
  expect([...parseRouteTable(text)]).toEqual([
    "0.0.0.0/0 192.0.2.254 eth0",
    "10.244.1.0/24 192.0.2.2 eth0",
    "10.244.2.0/24 10.244.2.0 skiffv-1",
  ]);
});
