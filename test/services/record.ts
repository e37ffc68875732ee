/*
 * Records the rules of kube-proxy v1.37.2 in iptables mode for the rows' objects:
 * `node test/services/record.ts KUBECONFIG KUBE_PROXY [IPv6]`. KUBECONFIG is that of an empty kube-apiserver v1.37.2 without
 * controllers, for IPv6 with `--service-cluster-ip-range=10.96.0.0/16,fd00:10:96:1::/112`. Run both in a network of their
 * own (`unshare -n`, with the loopback up): the rules are really applied. Writes data/iptables.txt or data/ip6tables.txt,
 * the input of the last iptables-restore or ip6tables-restore.
 */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { node, node6, nodeObject, rows as rows4, rows6 } from "./objects.ts";

const [, , kubeconfig = "", proxy = "", family = "IPv4"] = process.argv;
const [rows, program] = family === "IPv6" ? [rows6, "ip6tables"] : [rows4, "iptables"];
const kubectl = (args: string[], input: unknown) =>
  execFileSync("kubectl", ["--kubeconfig", kubeconfig, ...args, "-f", "-"], { input: JSON.stringify(input) });

const services = rows.map(({ service }) => ({ apiVersion: "v1", kind: "Service", ...service }));
const slices = rows.flatMap(({ slice }) =>
  slice ? [{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", ...slice }] : [],
);
const own = family === "IPv6" ? node6 : node;
const owner = {
  ...{ apiVersion: "v1", kind: "Node", metadata: nodeObject.metadata },
  spec: { podCIDR: own.podCidr, podCIDRs: [own.podCidr] },
  status: { addresses: [{ type: "InternalIP", address: own.ip }] },
};
kubectl(["apply"], { apiVersion: "v1", kind: "List", items: [owner, ...services, ...slices] });
for (const object of [owner, ...services.filter(({ status }) => status)])
  kubectl(["apply", "--server-side", "--force-conflicts", "--subresource=status"], object);

const folder = mkdtempSync(join(tmpdir(), "kube-proxy-"));
const inputs = join(folder, "inputs");
mkdirSync(inputs);
const wrapper = join(folder, `${program}-restore`);
writeFileSync(
  wrapper,
  `#!/bin/sh\nfile=${inputs}/$(date +%s%N)\ncat >$file\nexec /usr/sbin/${program}-restore "$@" <$file\n`,
);
chmodSync(wrapper, 0o755);
const flags = [
  `--kubeconfig=${kubeconfig}`,
  `--hostname-override=${node.name}`,
  `--cluster-cidr=${own.podCidr}`,
  "--proxy-mode=iptables",
  "--iptables-localhost-nodeports=false",
  "--conntrack-max-per-core=0",
  "--conntrack-tcp-timeout-established=0s",
  "--conntrack-tcp-timeout-close-wait=0s",
];
const child = spawn(proxy, flags, {
  stdio: "inherit",
  env: { ...process.env, PATH: `${folder}:${process.env["PATH"]}` },
});
await sleep(10_000);
child.kill();
const last = readdirSync(inputs)
  .toSorted()
  .map((file) => readFileSync(join(inputs, file), "utf8"))
  .findLast((text) => text.includes("default/plain"));
if (last === undefined) throw new Error("kube-proxy wrote no rules of the rows' services");
// The API server's own service differs from record to record.
const lines = last.split("\n").filter((line) => !line.includes("default/kubernetes:"));
const isUsed = (chain: string) => !/-(?:SVC|SEP)-/.test(chain) || lines.some((line) => line.startsWith(`-A ${chain} `));
const kept = lines.filter((line) => !line.startsWith(":") || isUsed(line.slice(1).split(" ")[0] ?? ""));
writeFileSync(new URL(`./data/${program}.txt`, import.meta.url), kept.join("\n"));
