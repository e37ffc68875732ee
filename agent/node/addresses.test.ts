import { expect, test } from "vitest";
import { defaultInterface, defaultInterface6, nodeAddresses } from "./addresses.ts";

const one = (address: string) => ({
  address,
  family: address.includes(":") ? ("IPv6" as const) : ("IPv4" as const),
  internal: address === "127.0.0.1",
  netmask: "",
  mac: "",
  cidr: null,
  scopeid: 0,
});
const interfaces = {
  lo: [one("127.0.0.1")],
  eth0: [one("192.0.2.2"), one("192.0.2.3"), one("fe80::2"), one("2001:db8::2")],
  eth1: [one("198.51.100.9"), one("2001:db8:1::9")],
  "skiff-0": [one("10.244.0.1")],
};

// One address of each family: validatePodIPs in pkg/apis/core/validation/validation.go allows no more in hostIPs.
test("a machine with several interfaces has one address of each family", () => {
  expect(nodeAddresses(interfaces, {})).toEqual(["192.0.2.2", "2001:db8::2"]);
});

// NodeAddress in pkg/kubelet/nodestatus/setters.go falls back to ResolveBindAddress: the interface of the default route.
test("the default route's interface has the addresses", () => {
  expect(nodeAddresses(interfaces, { ipv4: "eth1", ipv6: "eth1" })).toEqual(["198.51.100.9", "2001:db8:1::9"]);
  expect(nodeAddresses(interfaces, { ipv4: "eth1" })).toEqual(["198.51.100.9", "2001:db8::2"]);
  expect(nodeAddresses(interfaces, { ipv4: "tun0" })[0]).toBe("192.0.2.2");
});

test("a machine without a network has the loopback address", () => {
  expect(nodeAddresses({ lo: [one("127.0.0.1")] }, {})).toEqual(["127.0.0.1"]);
});

test("the default route with the lowest metric is read from the kernel's tables", () => {
  const ipv4 = [
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
    "wlan0\t00000000\t010200C0\t0003\t0\t0\t600\t00000000\t0\t0\t0",
    "eth1\t00000000\t016433C6\t0003\t0\t0\t100\t00000000\t0\t0\t0",
    "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0",
    "",
  ].join("\n");
  expect(defaultInterface(ipv4)).toBe("eth1");
  expect(defaultInterface("")).toBeUndefined();
  const zero = "0".repeat(32);
  const ipv6 = [
    `fe800000000000000000000000000000 40 ${zero} 00 ${zero} 00000100 00000001 00000000 00000001     eth0`,
    `${zero} 00 ${zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1`,
    `${zero} 00 ${zero} 00 fe800000000000000000000000000001 00000064 00000001 00000000 00000003     eth0`,
    `${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo`,
    "",
  ].join("\n");
  expect(defaultInterface6(ipv6)).toBe("eth0");
  expect(defaultInterface6("")).toBeUndefined();
});
