import { expect, test } from "vitest";
import { rejection } from "./admission.ts";
import { sandboxSpecOf, seccompOf } from "./sandbox-spec.ts";
import { makeContainer, makePod, testNode } from "./testing.ts";

const refused = (spec: object, { node = {}, labels = {} as Record<string, string>, phase = "Pending" } = {}) => {
  const pod = { ...makePod("p", { spec }), status: { phase } };
  pod.metadata.labels = labels;
  const refusal = rejection(pod, { ...testNode, ...node });
  return refusal && `${refusal.reason}: ${refusal.message}`;
};
const sysctl = (name: string, more = {}) => refused({ securityContext: { sysctls: [{ name, value: "1" }] }, ...more });

// Upstream's patternAllowlist with SafeSysctlAllowlist, and NormalizeName.
test("admits safe sysctls in both spellings, and refuses others and those of the host's namespaces", () => {
  for (const name of ["net.ipv4.tcp_notsent_lowat", "net.ipv4.tcp_slow_start_after_idle", "kernel/shm_rmid_forced"]) {
    expect(sysctl(name)).toBeUndefined();
  }
  expect(sysctl("kernel/msgmax")).toBe('SysctlForbidden: forbidden sysctl: "kernel.msgmax" not allowlisted');
  expect(sysctl("net/ipv4/conf/eth0.1/x")).toContain('"net.ipv4.conf.eth0/1.x" not allowlisted');
  expect(sysctl("net.ipv4.tcp_rmem", { hostNetwork: true })).toBe(
    'SysctlForbidden: forbidden sysctl: "net.ipv4.tcp_rmem" not allowed with host net enabled',
  );
  expect(sysctl("kernel.shm_rmid_forced", { hostIPC: true })).toContain("not allowed with host ipc enabled");
});

// Upstream's predicateAdmitHandler: rejectPodAdmissionBasedOnOSSelector, …OSField, …SupplementalGroupsPolicy.
test("refuses pods of other systems, and strict groups where the runtime lacks them", () => {
  expect(refused({}, { labels: { "kubernetes.io/os": "windows" } })).toMatch(/^PodOSSelectorNodeLabelDoesNotMatch: /);
  expect(refused({}, { labels: { "kubernetes.io/os": "linux" } })).toBeUndefined();
  expect(refused({ os: { name: "windows" } })).toMatch(/^PodOSNotSupported: /);
  const strict = { securityContext: { supplementalGroupsPolicy: "Strict" } };
  expect(refused(strict)).toBe(
    "SupplementalGroupsPolicyNotSupported: SupplementalGroupsPolicy=Strict is not supported in this node",
  );
  expect(refused(strict, { node: { strictGroups: true } })).toBeUndefined();
  expect(refused({ securityContext: { supplementalGroupsPolicy: "Merge" } })).toBeUndefined();
});

// Upstream's appArmorAdmitHandler and apparmor.isRequired.
test("refuses AppArmor profiles where the kernel does not enforce them, but not for pods that have run", () => {
  const own = (type: string) => ({
    containers: [makeContainer("main", { securityContext: { appArmorProfile: { type } } as never })],
  });
  const expected = "AppArmor: Cannot enforce AppArmor: AppArmor is not enabled on the host";
  expect(refused(own("RuntimeDefault"))).toBe(expected);
  expect(refused({ securityContext: { appArmorProfile: { type: "Localhost", localhostProfile: "x" } } })).toBe(
    expected,
  );
  expect(refused(own("Unconfined"))).toBeUndefined();
  expect(refused(own("RuntimeDefault"), { phase: "Running" })).toBeUndefined();
  expect(refused(own("RuntimeDefault"), { node: { appArmor: true } })).toBeUndefined();
});

// Upstream's fieldSeccompProfile: profiles are files below the kubelet's seccomp folder.
test("a seccomp profile of type Localhost is a file below the node's folder", () => {
  const node = { ...testNode, seccompFolder: "/var/lib/skiff/seccomp" };
  const profile = { type: "Localhost", localhostProfile: "audit/strict.json" };
  const expected = { type: "Localhost", localhost: "/var/lib/skiff/seccomp/audit/strict.json" };
  expect(seccompOf(profile as never, node)).toEqual(expected);
  expect(seccompOf({ type: "RuntimeDefault" } as never, node)).toEqual({ type: "RuntimeDefault" });
  const pod = makePod("p", { spec: { securityContext: { seccompProfile: profile } as never } });
  expect(
    sandboxSpecOf(pod, 0, node, { dns: { servers: [], searches: [], options: [] }, warnings: [] }).security.seccomp,
  ).toEqual(expected);
});
