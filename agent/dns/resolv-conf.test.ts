import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { resolvConfFault } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "skiff-resolv-"));
const file = join(folder, "resolv.conf");
afterAll(() => rmSync(folder, { recursive: true }));

const domains = (count: number, length = 5): string =>
  `search ${Array.from({ length: count }, (_, index) => `${index}`.padStart(length, "d")).join(" ")}\n`;
const count = (most: number) =>
  `Resolv.conf file '${file}' contains search line consisting of more than ${most} domains!`;

// Configurer.CheckLimitsForResolvConf (pkg/kubelet/network/dns/dns.go, v1.37.2).
test.each<[name: string, text: string, hasClusterDns: boolean, fault: string | undefined]>([
  ["without a search line", "nameserver 192.0.2.1\n", true, undefined],
  ["29 domains beside the cluster's", domains(29), true, undefined],
  ["30 domains beside the cluster's", domains(30), true, count(29)],
  ["32 domains without a cluster's", domains(32), false, undefined],
  ["33 domains without a cluster's", domains(33), false, count(32)],
  [
    "a long domain",
    domains(1, 254),
    true,
    `Resolv.conf file "${file}" contains a search path which length is more than allowed 253 chars!`,
  ],
  ["2,042 characters", domains(9, 226), true, undefined],
  [
    "2,051 characters",
    domains(9, 227),
    true,
    `Resolv.conf file '${file}' contains search line which length is more than allowed 2048 chars!`,
  ],
])("settings with %s", async (_name, text, hasClusterDns, fault) => {
  writeFileSync(file, text);
  expect(await resolvConfFault(hasClusterDns, file)).toBe(fault);
});

test("a file that does not exist", async () => {
  expect(await resolvConfFault(true, join(folder, "none"))).toBe(
    `open ${join(folder, "none")}: no such file or directory`,
  );
});
