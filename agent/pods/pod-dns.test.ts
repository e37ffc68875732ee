import { expect, test } from "vitest";
import { parseResolvConf } from "#agent/dns";
import type { Pod } from "#api";
import { podDns } from "./pod-dns.ts";
import { makePod } from "./testing.ts";

const cluster = { servers: () => ["10.96.0.10"], domain: "cluster.local" };
const host = { servers: ["192.0.2.53"], searches: ["example.test"], options: ["timeout:1"] };
const own = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];

type Spec = Partial<NonNullable<Pod["spec"]>>;
const of = (spec: Spec, from = host) => podDns(makePod("web", { spec }), cluster, from);

const clusterDns = { servers: ["10.96.0.10"], searches: [...own, "example.test"], options: ["ndots:5"] };

// GetPodDNS of v1.37.2 (pkg/kubelet/network/dns/dns.go).
const policies: [string, Spec, object][] = [
  ["no policy", {}, clusterDns],
  ["ClusterFirst", { dnsPolicy: "ClusterFirst" }, clusterDns],
  ["ClusterFirst with host networking", { dnsPolicy: "ClusterFirst", hostNetwork: true }, host],
  ["ClusterFirstWithHostNet", { dnsPolicy: "ClusterFirstWithHostNet", hostNetwork: true }, clusterDns],
  ["Default", { dnsPolicy: "Default" }, host],
  ["None", { dnsPolicy: "None" }, { servers: [], searches: [], options: [] }],
];

test.each(policies)("resolv.conf with %s", (_name, spec, expected) => {
  expect(of(spec)).toEqual({ dns: expected, warnings: [] });
});

test("dnsConfig is merged into what the policy gives", () => {
  const dnsConfig = {
    nameservers: ["192.0.2.1", "10.96.0.10"],
    searches: ["example.test", "other.test"],
    options: [{ name: "ndots", value: "2" }, { name: "edns0" }, { name: "attempts", value: "" }],
  };
  expect(of({ dnsConfig }).dns).toEqual({
    servers: ["10.96.0.10", "192.0.2.1"],
    searches: [...own, "example.test", "other.test"],
    options: ["ndots:2", "edns0", "attempts"],
  });
  expect(of({ dnsPolicy: "None", dnsConfig }).dns).toEqual({
    servers: ["192.0.2.1", "10.96.0.10"],
    searches: ["example.test", "other.test"],
    options: ["ndots:2", "edns0", "attempts"],
  });
  expect(of({ dnsPolicy: "Default", dnsConfig }).dns.options).toEqual(["timeout:1", "ndots:2", "edns0", "attempts"]);
});

test("a fourth server is omitted with a warning", () => {
  const nameservers = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
  const { dns, warnings } = of({ dnsConfig: { nameservers } });
  expect(dns.servers).toEqual(["10.96.0.10", "192.0.2.1", "192.0.2.2"]);
  expect(warnings).toEqual([
    {
      reason: "DNSConfigForming",
      message:
        "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 10.96.0.10 192.0.2.1 192.0.2.2",
    },
  ]);
});

test("search domains beyond the limits are omitted with a warning", () => {
  const many = Array.from({ length: 40 }, (_, index) => `d${index}.test`);
  const long = Array.from({ length: 12 }, (_, index) => `${"x".repeat(200)}${index}`);
  const cases: [string[], string[]][] = [
    [many, [...own, ...many.slice(0, 29)]],
    [
      ["y".repeat(254), "z.test"],
      [...own, "z.test"],
    ],
    // 3 own domains of 58 characters with spaces, and 9 of some 201.
    [long, [...own, ...long.slice(0, 9)]],
  ];
  for (const [searches, expected] of cases) {
    const { dns, warnings } = of({}, { ...host, searches });
    expect(dns.searches).toEqual(expected);
    expect(warnings.map(({ reason, message }) => `${reason}: ${message}`)).toEqual([
      `DNSConfigForming: Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${expected.join(" ")}`,
    ]);
  }
});

test("a pod on a node without cluster DNS has the host's settings and a warning", () => {
  const pod = makePod("web");
  const message = `pod: "web_default(${pod.metadata.uid})". kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. Falling back to "Default" policy.`;
  const expected = { dns: host, warnings: [{ reason: "MissingClusterDNS", message }] };
  expect(podDns(pod, undefined, host)).toEqual(expected);
  expect(podDns(pod, { ...cluster, servers: () => [] }, host)).toEqual(expected);
});

// parseResolvConf of v1.37.2, in the same file.
test("parses resolv.conf as upstream", () => {
  const text = `# nameserver 192.0.2.9
nameserver 192.0.2.1
  nameserver   192.0.2.2
nameserver
search a.test b.test.
search c.test. . d.test
domain ignored.test
options ndots:1 rotate
options ndots:3
; comment`;
  expect(parseResolvConf(text)).toEqual({
    servers: ["192.0.2.1", "192.0.2.2"],
    searches: ["c.test", "d.test"],
    options: ["ndots:3", "rotate"],
  });
});
