import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startAws } from "#agent/aws";
import {
  apiServerNames,
  type CertificateSigningRequest,
  certificateSigningRequests,
  configMaps,
  nodes,
  type Pod,
  pods,
  type RoleBinding,
  roleBindings,
  secrets,
  serviceAccounts,
  type TokenRequest,
} from "#api";
import { createRequest } from "#auth/certificates";
import { silentLog, systemClock, systemRandom } from "#base";
import { type HttpClient, httpClient } from "#client";
import { findKubectls, kubectl, type Outcome } from "../kubectl/runner.ts";
import { type Agent, type Instance, instance, startAgent, whoseInstance } from "./agents.ts";
import type { ApiNode } from "./api-node.ts";
import { builtOnce } from "./built-once.ts";
import { ann, tokenFor, whoIs } from "./principals.ts";
import { openStage, type Stage } from "./stage.ts";

/*
 * The API inside pods through the bundles: kubectl with what a pod has, the mounted token and CA, at the address at which
 * its node answers. The node obtains its certificate from the cluster.
 */

const instances = ["i-0eeeeeeeeeeeeeee1", "i-0eeeeeeeeeeeeeee2"].map(instance);
const [first, second] = instances as [Instance, Instance];
const namespace = "default";
const polling = { timeout: 120_000, interval: 250 };
const lines: string[] = [];

let stage: Stage;
let client: HttpClient;
let folder: string;
let agent: Agent;
let port = 0;
/** Whether the account of the pods has its role. */
let isGranted = false;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skiff-api-in-pods-"));
  const built = builtOnce();
  const whose = whoseInstance(built, instances);
  stage = await openStage({
    built,
    whoIs: (key) => whoIs(key) ?? whose(key),
    output: (name, line) => lines.push(`${name} ${line}`),
  });
  await stage.deploy();
  client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
  const output = (line: string) => lines.push(`agent ${line}`);
  agent = startAgent({ stage, built, instance: first, folder: join(folder, "agent"), output });
}, 120_000);
afterAll(async () => {
  client?.close();
  await agent?.stop();
  for (const child of children) child.kill("SIGKILL");
  await stage?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const said = () =>
  lines
    .filter((line) => !line.includes('"audit"'))
    .slice(-20)
    .join("\n");
const requests = async () => (await client.list(certificateSigningRequests)).items;
const store = () => join(folder, "node");

/** Starts the node's part that answers pods; `folder` keeps its certificate. */
async function startNode(): Promise<ChildProcess> {
  mkdirSync(store(), { recursive: true, mode: 0o700 });
  const what: ApiNode = { server: `${stage.url}/iam`, link: stage.dial, ca: stage.ca, name: first.id, folder: store() };
  const child = spawn(process.execPath, [resolve(import.meta.dirname, "api-node.ts"), JSON.stringify(what)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      HOME: folder,
      AWS_ACCESS_KEY_ID: first.accessKeyId,
      AWS_SECRET_ACCESS_KEY: first.secretAccessKey,
      AWS_ENDPOINT_URL: stage.cloud.endpointFor(first.id),
    },
  });
  children.push(child);
  child.stderr!.on("data", (chunk) => lines.push(`node ${chunk}`));
  const [chunk] = await once(child.stdout!, "data");
  port = Number(String(chunk));
  return child;
}

/** What verifies the API in pods. */
const mountedCa = async (): Promise<string> =>
  (await client.get(configMaps, { namespace, name: "kube-root-ca.crt" })).data?.["ca.crt"] ?? "";

async function answers(): Promise<boolean> {
  const socket = connectTls({ host: "127.0.0.1", port, servername: "kubernetes.default.svc", ca: await mountedCa() });
  try {
    await once(socket, "secureConnect");
    return socket.authorized;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** kubectl with the mounted token and CA of a pod. */
async function inPod(pod: string) {
  const { metadata } = await client.get(pods, { namespace, name: pod });
  const bound = { apiVersion: "v1", kind: "Pod", name: pod, uid: metadata.uid };
  const question = { metadata: {}, spec: { boundObjectRef: bound, audiences: [] } };
  const account = { namespace, name: "default" };
  const made = (await client.createSubresource(serviceAccounts, account, "token", question as never)) as TokenRequest;
  const home = join(folder, `in-${pod}`);
  mkdirSync(home, { recursive: true });
  const kubeconfig = join(home, "config");
  const cluster = {
    server: `https://127.0.0.1:${port}`,
    "tls-server-name": "kubernetes.default.svc",
    "certificate-authority-data": btoa(await mountedCa()),
  };
  const text = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user: { token: made.status!.token } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u", namespace } }],
    "current-context": "x",
  };
  writeFileSync(kubeconfig, JSON.stringify(text));
  const setting = { kubectl: findKubectls().at(-1)!, kubeconfig, namespace, home, editor: "/bin/true" };
  // A process of the API may know roles as they were five seconds ago.
  return async (run: string, more: { cut?: number; stdin?: string } = {}): Promise<Outcome> => {
    for (let attempt = 0; ; attempt++) {
      const outcome = await kubectl(setting, { run, ...more });
      if (!isGranted || attempt > 100 || !outcome.err.includes("orbidden")) return outcome;
    }
  };
}

const place = (name: string, script: string) =>
  client.create(pods, {
    metadata: { namespace, name },
    spec: {
      nodeName: first.id,
      restartPolicy: "Never",
      containers: [{ name: "main", image: "busybox", command: ["sh", "-c", script] }],
    },
  } as Pod);

test("a node that is killed before its certificate arrives obtains another at the next start", async () => {
  const killed = await startNode();
  await expect.poll(async () => (await requests()).length, { ...polling, interval: 20, message: said() }).toBe(1);
  killed.kill("SIGKILL");
  await once(killed, "exit");
  const isStored = existsSync(join(store(), "api-serving.json"));
  await startNode();
  await expect.poll(answers, { ...polling, message: said() }).toBe(true);
  expect((await requests()).length).toBe(isStored ? 1 : 2);
}, 300_000);

test("a restarted node serves with the stored certificate", async () => {
  const before = (await requests()).length;
  const [running] = children.slice(-1);
  running!.kill("SIGTERM");
  await once(running!, "exit");
  await startNode();
  await expect.poll(answers, { ...polling, message: said() }).toBe(true);
  expect(await requests()).toHaveLength(before);
}, 300_000);

test("a node gets no certificate of another node, or for other names", async () => {
  const credentials = { accessKeyId: second.accessKeyId, secretAccessKey: second.secretAccessKey };
  const shared = { clock: systemClock, random: systemRandom, log: silentLog };
  const other = startAws({
    server: `${stage.url}/iam`,
    region: "eu-west-1",
    link: stage.dial,
    ca: stage.ca,
    credentials,
    ...shared,
  });
  const ask = async (node: string, names: readonly string[]) => {
    const subject = { commonName: `system:node:${node}`, organizations: ["system:nodes"] };
    const { request } = await createRequest(subject, names);
    const usages = ["digital signature", "server auth"];
    const spec = { request: btoa(request), signerName: "skiff.dev/api-serving", usages };
    const made = await other.client.create(certificateSigningRequests, {
      metadata: { generateName: "test-" },
      spec,
    } as CertificateSigningRequest);
    return made.metadata.name!;
  };
  const names = [...apiServerNames, "10.96.0.1"];
  const wrong = [
    await ask(first.id, names),
    await ask(second.id, [...names, "sts.eu-west-1.amazonaws.com"]),
    await ask(second.id, ["kubernetes"]),
  ];
  const own = await ask(second.id, names);
  const statusOf = async (name: string) => (await client.get(certificateSigningRequests, { name })).status;
  await expect.poll(async () => (await statusOf(own))?.certificate, { ...polling, message: said() }).toBeDefined();
  // Requests after those are signed: the controllers have seen them.
  for (const name of wrong) expect((await statusOf(name))?.conditions ?? []).toEqual([]);
  // A node cannot read the authority's key, or approve.
  const key = other.client.get(secrets, { namespace: "kube-system", name: "skiff-authority" });
  await expect(key).rejects.toMatchObject({ code: 403 });
  const pending = await client.get(certificateSigningRequests, { name: wrong[0]! });
  const conditions = [{ type: "Approved", status: "True", reason: "Test", message: "approved" }];
  const approved = { ...pending, status: { conditions } } as CertificateSigningRequest;
  const approval = other.client.update(certificateSigningRequests, approved, { subresource: "approval" });
  await expect(approval).rejects.toMatchObject({ code: 403 });
  await other.stop();
}, 300_000);

test("kubectl in a pod is authorized as the pod's account", async () => {
  const names = async () => (await client.list(nodes)).items.map(({ metadata }) => metadata.name);
  await expect.poll(names, { ...polling, message: said() }).toContain(first.id);
  await place("robot", "echo begun; sleep 8; echo over; sleep 600");
  const run = await inPod("robot");
  const account = "system:serviceaccount:default:default";
  const refused = await run("get pods");
  expect(refused).toMatchObject({
    code: 1,
    err: expect.stringContaining(`User "${account}" cannot list resource "pods"`),
  });
  expect((await run("version -o json")).out).toContain('"gitVersion": "v1.36');
  const binding: RoleBinding = {
    metadata: { namespace, name: "robots" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "admin" },
    subjects: [{ kind: "ServiceAccount", namespace, name: "default" }],
  };
  await client.create(roleBindings, binding);
  isGranted = true;
  await expect
    .poll(() => run("get pods -o name"), { ...polling, message: said() })
    .toMatchObject({ out: "pod/robot\n" });
  expect(await run("auth whoami -o jsonpath={.status.userInfo.username}")).toMatchObject({ out: account });
}, 300_000);

test("exec is refused by name", async () => {
  const run = await inPod("robot");
  const refused = await run("exec robot -- true");
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("is not possible through API Gateway") });
}, 300_000);

test("watches, writes of a megabyte and followed logs pass", async () => {
  const run = await inPod("robot");
  const watching = run("get configmaps -w -o name", { cut: 20_000 });
  const path = join(folder, "big");
  writeFileSync(path, "y".repeat(1_000_000));
  expect(await run(`create configmap big --from-file=data=${path}`)).toMatchObject({ code: 0 });
  expect((await client.get(configMaps, { namespace, name: "big" })).data?.["data"]).toHaveLength(1_000_000);
  expect((await run("get configmap big -o jsonpath={.data.data}")).out).toHaveLength(1_000_000);
  await expect.poll(async () => (await run("logs robot")).out, { ...polling, message: said() }).toContain("begun");
  const logs = await run("logs robot -f", { cut: 30_000 });
  expect(logs).toMatchObject({ out: expect.stringMatching(/^begun\nover\n/) });
  expect(await watching).toMatchObject({ out: expect.stringContaining("configmap/big\n") });
}, 300_000);
