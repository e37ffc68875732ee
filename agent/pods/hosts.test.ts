import { expect, test } from "vitest";
import type { Pod } from "#api";
import { hostNetworkHosts, hostsFile, kernelHostname } from "./hosts.ts";
import { makePod } from "./testing.ts";

type Spec = Partial<NonNullable<Pod["spec"]>>;

// generatePodSandboxConfig, GeneratePodHostNameAndDomain and GetNodenameForKernel of v1.37.2; the lines follow
// managedHostsFileContent. `hostname` in the pod, and the names of its address in /etc/hosts.
const names: [string, string, Spec, string, string][] = [
  ["the pod's name", "web", {}, "web", "web"],
  ["a name with dots", "a.b", {}, "a.b", "a.b"],
  ["a long name", `${"x".repeat(62)}-y`, {}, "x".repeat(62), "x".repeat(62)],
  ["hostname", "web", { hostname: "one" }, "one", "one"],
  ["subdomain", "web", { subdomain: "db" }, "web", "web.db.default.svc.cluster.local web"],
  ["a name with dots and subdomain", "a.b", { subdomain: "db" }, "a.b", "a.b.db.default.svc.cluster.local a.b"],
  [
    "setHostnameAsFQDN",
    "web",
    { hostname: "one", subdomain: "db", setHostnameAsFQDN: true },
    "one.db.default.svc.cluster.local",
    "one.db.default.svc.cluster.local one",
  ],
  ["setHostnameAsFQDN without subdomain", "web", { setHostnameAsFQDN: true }, "web", "web"],
  ["hostnameOverride", "web", { hostnameOverride: "my.own.name", hostname: "one" }, "my.own.name", "my.own.name"],
  ["a long hostnameOverride", "web", { hostnameOverride: `${"x".repeat(62)}.y` }, "x".repeat(62), "x".repeat(62)],
  ["hostnameOverride and subdomain", "web", { hostnameOverride: "own", subdomain: "db" }, "own", "own"],
];

test.each(names)("host name and hosts file with %s", (_what, name, spec, hostname, inFile) => {
  const pod = makePod(name, { spec });
  expect(kernelHostname(pod)).toBe(hostname);
  const own = `\t${inFile.replace(" ", "\t")}`;
  expect(hostsFile(pod, ["10.1.2.3", "fd00::3"])).toBe(`# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
10.1.2.3${own}
fd00::3${own}
`);
});

test("a whole name that the kernel does not store is refused", () => {
  const spec = { subdomain: "d".repeat(34), setHostnameAsFQDN: true };
  const rest = `${"d".repeat(34)}.default.svc.cluster.local`;
  expect(kernelHostname(makePod("abc", { spec }))).toBe(`abc.${rest}`);
  expect(() => kernelHostname(makePod("abcd", { spec }))).toThrow(
    `failed to construct FQDN from pod hostname and cluster domain, FQDN abcd.${rest} is too long (64 characters is the max, 65 characters requested)`,
  );
});

test("hostAliases follow the pod's own lines, or the host's", () => {
  const hostAliases = [{ ip: "192.0.2.1", hostnames: ["a.test", "b.test"] }, { ip: "192.0.2.2" }];
  const pod = makePod("web", { spec: { hostAliases } });
  const added = "\n# Entries added by HostAliases.\n192.0.2.1\ta.test\tb.test\n192.0.2.2\t\n";
  expect(hostsFile(pod, ["10.1.2.3"]).endsWith(`\n10.1.2.3\tweb\n${added}`)).toBe(true);
  const host = "127.0.0.1 localhost\n\n# last line";
  const head = "# Kubernetes-managed hosts file (host network).\n";
  expect(hostNetworkHosts(pod, host)).toBe(head + host + added);
  expect(hostNetworkHosts(makePod("web"), host)).toBe(head + host);
});
