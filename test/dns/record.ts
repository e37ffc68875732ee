/*
 * Records the answers of CoreDNS v1.15.0 with kubeadm's Corefile to the rows' questions, over the rows' objects in a
 * kube-apiserver v1.37.2: `node test/dns/record.ts KUBECONFIG COREDNS ADDRESS`. KUBECONFIG is that of an empty
 * cluster without controllers, COREDNS the binary, ADDRESS one of the machine that is not on loopback: CoreDNS finds its
 * own service by it, so the API server must advertise another (--advertise-address). Writes answers.json.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "./ask.ts";
import { extraNamespaces, services, slices } from "./objects.ts";
import { questions } from "./questions.ts";
import { answerText } from "./text.ts";
import { startUpstream } from "./upstream-server.ts";

const [, , kubeconfig = "", coredns = "", address = ""] = process.argv;
const port = 10_153;

const own = structuredClone(slices[0]!);
own.metadata = { name: "kube-dns-1", namespace: "kube-system", labels: { "kubernetes.io/service-name": "kube-dns" } };
own.endpoints = [{ addresses: [address] }];
const namespaces = extraNamespaces.map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } }));
const list = {
  apiVersion: "v1",
  kind: "List",
  items: [
    ...namespaces,
    ...services.map((service) => ({ apiVersion: "v1", kind: "Service", ...service })),
    ...[...slices, own].map((slice) => ({ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", ...slice })),
  ],
};
execFileSync("kubectl", ["--kubeconfig", kubeconfig, "apply", "-f", "-"], { input: JSON.stringify(list) });

const upstream = await startUpstream();
const folder = mkdtempSync(join(tmpdir(), "coredns-"));
writeFileSync(
  join(folder, "Corefile"),
  `.:${port} {
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       kubeconfig ${kubeconfig}
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    forward . 127.0.0.1:${upstream.port}
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loadbalance
}
`,
);
const server = spawn(coredns, ["-conf", join(folder, "Corefile")], { stdio: "inherit" });
await sleep(5000);
const answers: unknown[] = [];
for (const row of questions) answers.push({ ...row, answer: answerText(await ask({ address, port }, row)) });
server.kill();
upstream.stop();
const file = new URL("data/answers.json", import.meta.url);
writeFileSync(file, `[\n${answers.map((answer) => JSON.stringify(answer)).join(",\n")}\n]\n`);
