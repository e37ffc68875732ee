import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endpoints, type Pod, roleBindings } from "#api";
import type { HttpClient } from "#client";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { findKubectls, kubectl, type Setting } from "../kubectl/runner.ts";
import { connect, createPod, getPod, until } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { skiffDown } from "./skiff.ts";

let registry: Registry;
let skiff: SkiffProcess;
let client: HttpClient;
let home: string;
let setting: Setting;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "skiff-home-"));
  registry = await startRegistry();
  skiff = await startSkiff(["--registry-mirror", `docker.io=http://${registry.address}`, "--node-name", "boat"]);
  client = connect(skiff.dataDir);
  const tool = findKubectls().at(-1) ?? "kubectl";
  setting = { kubectl: tool, kubeconfig: skiff.kubeconfig, namespace: "default", home, editor: "true" };
  await client.create(roleBindings, {
    metadata: { name: "view", namespace: "default" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
    subjects: [{ kind: "ServiceAccount", name: "default", namespace: "default" }],
  });
});
afterAll(async () => {
  client?.close();
  if (skiff) await skiffDown(skiff);
  await registry?.stop();
  if (home) rmSync(home, { recursive: true, force: true });
});

/** What in-cluster configurations read: the environment, or the service's name, and the mounted account. */
const program = `
const { readFileSync } = require("node:fs");
const { request } = require("node:https");
const account = "/var/run/secrets/kubernetes.io/serviceaccount";
const [ca, token] = ["ca.crt", "token"].map((name) => readFileSync(account + "/" + name, "utf8"));
const { KUBERNETES_SERVICE_HOST: address, KUBERNETES_SERVICE_PORT: port } = process.env;
const ask = (host, path, more = {}) =>
  new Promise((resolve, reject) => {
    const headers = { authorization: "Bearer " + token, ...more.headers };
    const sent = request({ host, port, path, ca, ...more, headers }, (response) => {
      let body = "";
      response.on("data", (piece) => {
        body += piece;
        if (path.includes("watch") && body.includes("\\n")) resolve(body.split("\\n")[0]);
      });
      response.on("end", () => resolve(body));
    });
    sent.on("error", reject);
    sent.on("upgrade", (response, socket) => resolve(socket.destroy() && String(response.statusCode)));
    sent.end();
  });
const pods = "/api/v1/namespaces/default/pods";
(async () => {
  for (const host of [address, "kubernetes.default.svc"]) {
    console.log(JSON.parse(await ask(host, pods)).items.map(({ metadata }) => metadata.name).join());
  }
  console.log(JSON.parse(await ask(address, pods + "?watch=true")).object.metadata.name);
  console.log(JSON.parse(await ask(address, "/api/v1/namespaces/default/secrets")).reason);
  process.exit();
})().catch((error) => { console.log(String(error)); process.exit(1); });
`;

/** The interpreter of this test in a container: the machine's libraries are mounted for it. */
const host = (path: string) => ({
  volume: {
    name: path
      .slice(1)
      .replaceAll(/[^a-z0-9]+/g, "-")
      .slice(-50)
      .replace(/^-/, ""),
    hostPath: { path },
  },
  path,
});
const folders = ["/usr", "/lib", "/lib64", dirname(process.execPath)].map(host);

const inside = (more: object = {}): object => ({
  restartPolicy: "Never",
  containers: [
    {
      ...{ name: "main", image: "busybox", command: [process.execPath, "-e", program] },
      volumeMounts: folders.map(({ volume, path }) => ({ name: volume.name, mountPath: path, readOnly: true })),
    },
  ],
  volumes: folders.map(({ volume }) => volume),
  ...more,
});

/** What the pod's program said, once it has ended. */
async function logOf(name: string): Promise<{ phase: string; lines: string[] }> {
  const ended = await until(async () => {
    const pod: Pod = await getPod(client, name);
    return ["Succeeded", "Failed"].includes(pod.status?.phase ?? "") && pod;
  }, 120);
  const { out } = await kubectl(setting, { run: `logs ${name}` });
  return { phase: ended.status?.phase ?? "", lines: out.trim().split("\n") };
}

// Conformance: "should have Endpoints and EndpointSlices pointing to API Server".
test("the API's endpoints lead to it", async () => {
  const { subsets } = await client.get(endpoints, { namespace: "default", name: "kubernetes" });
  const [{ addresses, ports }] = subsets as [NonNullable<typeof subsets>[0]];
  const socket = connectTcp({ host: addresses![0]!.ip!, port: ports![0]!.port! });
  await once(socket, "connect");
  socket.destroy();
});

// The server listens on the machine's loopback, which no pod reaches.
test("a pod reaches the API at the service's address and name, with its account's rights, watches included", async () => {
  await createPod(client, "inside", inside());
  expect(await logOf("inside")).toEqual({ phase: "Succeeded", lines: ["inside", "inside", "inside", "Forbidden"] });
});

test("a pod with host networking does too", async () => {
  const more = { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" };
  await createPod(client, "on-host", inside(more));
  const { phase, lines } = await logOf("on-host");
  expect([phase, lines.at(-1)]).toEqual(["Succeeded", "Forbidden"]);
  expect(lines.slice(0, 2)).toEqual(["inside,on-host", "inside,on-host"]);
});
