import { expect, test } from "vitest";
import { isNodePortAddress, nodePortBlocks } from "./node-port-addresses.ts";

// expandNodePortAddressKeywords and NewNodePortAddresses of v1.37.2.
test.each<[words: string[], nodeIp: string | undefined, four: string[] | undefined, six: string[] | undefined]>([
  [[], "192.0.2.1", undefined, undefined],
  [["primary"], "192.0.2.1", ["192.0.2.1/32"], undefined],
  [["primary"], "2001:db8::1", undefined, ["2001:db8::1/128"]],
  [["primary"], "127.0.0.1", undefined, undefined],
  [["primary"], undefined, undefined, undefined],
  [["localhost"], "192.0.2.1", ["127.0.0.0/8"], ["::1/128"]],
  [["all", "10.0.0.0/8"], "192.0.2.1", undefined, undefined],
  [["0.0.0.0/0", "2001:db8::/32"], "192.0.2.1", undefined, ["2001:db8::/32"]],
  [["192.0.2.0/24", "primary", "10.0.0.0/8"], "192.0.2.1", ["192.0.2.0/24", "10.0.0.0/8"], undefined],
])("%j at %s", (words, nodeIp, four, six) => {
  expect(nodePortBlocks({ words, family: "IPv4", nodeIp })).toEqual(four);
  expect(nodePortBlocks({ words, family: "IPv6", nodeIp })).toEqual(six);
});

test("keywords and blocks are words, and nothing else", () => {
  for (const word of ["primary", "localhost", "all", "10.0.0.0/8", "2001:db8::/32"])
    expect(isNodePortAddress(word)).toBe(true);
  for (const word of ["", "secondary", "10.0.0.1", "10.0.0.0/33"]) expect(isNodePortAddress(word)).toBe(false);
});
