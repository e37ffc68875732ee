import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { containersOf, startEngine, type TestEngine } from "#agent/runtime/docker/testing";
import { type Deployment, deployments, type Pod, pods, type Service, services } from "#api";
import type { HttpClient } from "#client";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { findKubectls, kubectl, type Setting } from "../kubectl/runner.ts";
import { connect, createPod, findPod, getPod, isReady, readyPod, until } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { skiffDown } from "./skiff.ts";

let folder: string;
let registry: Registry;
let engine: TestEngine;
let skiff: SkiffProcess;
let client: HttpClient;
let setting: Setting;

beforeAll(async () => {
  // Unix socket paths are short.
  folder = mkdtempSync("/tmp/skiff-docker-");
  registry = await startRegistry();
  engine = await startEngine("podman", join(folder, "engine"), registry.address);
  skiff = await startSkiff(["--runtime", "docker", "--docker-socket", engine.socket, "--node-name", "boat"]);
  client = connect(skiff.dataDir);
  const program = findKubectls().at(-1) ?? "kubectl";
  const home = mkdtempSync(join(tmpdir(), "skiff-home-"));
  setting = { kubectl: program, kubeconfig: skiff.kubeconfig, namespace: "default", home, editor: "true" };
});
afterAll(async () => {
  client?.close();
  if (skiff && existsSync(skiff.dataDir)) await skiffDown(skiff);
  await engine?.stop();
  await registry?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
  if (setting) rmSync(setting.home, { recursive: true, force: true });
});

const grace = { terminationGracePeriodSeconds: 1 };
const busybox = (script: string, more: object = {}) => ({
  ...{ name: "main", image: "busybox", command: ["sh", "-c", script] },
  ...more,
});
const first = ({ status }: Pod) => status?.containerStatuses?.[0];

/** The body that an address serves, or the code of the error. */
const fetched = (host: string): Promise<string> =>
  new Promise((resolve) => {
    const request = get({ host, port: 80, timeout: 2000, agent: false }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve(body));
    });
    request.on("timeout", () => request.destroy(new Error("TIMEOUT")));
    request.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });

test("a deployment is reached by its service's address, and by its name from another pod", async () => {
  const labels = { app: "web" };
  const spec = { ...grace, containers: [{ name: "nginx", image: "nginx:1.14.2", ports: [{ containerPort: 80 }] }] };
  await until(() =>
    client
      .create(deployments, {
        metadata: { name: "web", namespace: "default" },
        spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
      } as unknown as Deployment)
      .catch(() => undefined),
  );
  const service = await client.create(services, {
    metadata: { name: "web", namespace: "default" },
    spec: { selector: labels, ports: [{ port: 80 }] },
  } as unknown as Service);
  await until(async () => {
    const { status } = await client.get(deployments, { namespace: "default", name: "web" });
    return status?.readyReplicas === 2;
  });
  await until(async () => (await fetched(service.spec?.clusterIP ?? "")).includes("Welcome to nginx"));
  await createPod(client, "visitor", { ...grace, containers: [busybox("sleep 1000")] });
  await readyPod(client, "visitor");
  const page = await until(async () => {
    const said = await kubectl(setting, { run: "exec visitor -- wget -qO- http://web.default" });
    return said.code === 0 && said.out;
  });
  expect(page).toContain("Welcome to nginx");
});

test("logs and exec reach a container", async () => {
  await createPod(client, "talk", { ...grace, containers: [busybox("echo hello; echo world >&2; sleep 1000")] });
  const pod = await readyPod(client, "talk");
  // The form of the CRI's log files, which log collectors read.
  const logs = join(skiff.dataDir, "agents/docker/logs", `default_talk_${pod.metadata.uid}`, "main/0.log");
  await until(async () => readFileSync(logs, "utf8").trim().split("\n").length === 2);
  for (const line of readFileSync(logs, "utf8").trim().split("\n")) {
    expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout F hello|stderr F world)$/);
  }
  expect((await kubectl(setting, { run: "logs talk" })).out.split("\n").toSorted().join("")).toBe("helloworld");
  const exec = await kubectl(setting, { run: "exec -i talk -- sh -c 'cat; exit 3'", stdin: "through" });
  expect(exec).toMatchObject({ code: 3, out: "through" });
});

test("a failing probe restarts a container", async () => {
  const livenessProbe = { exec: { command: ["false"] }, periodSeconds: 1, failureThreshold: 1 };
  await createPod(client, "sick", { ...grace, containers: [busybox("sleep 1000", { livenessProbe })] });
  await until(async () => (first(await getPod(client, "sick"))?.restartCount ?? 0) > 0);
  await client.delete(pods, { namespace: "default", name: "sick" });
  await until(async () => (await findPod(client, "sick")) === undefined);
});

test("an agent that is killed adopts its containers and goes on with their logs", async () => {
  const script = "i=0; while true; do echo $i; i=$((i+1)); sleep 0.2; done";
  await createPod(client, "count", { ...grace, containers: [busybox(script)] });
  const before = first(await readyPod(client, "count"));
  const { agent } = JSON.parse(readFileSync(join(skiff.dataDir, "running.json"), "utf8")) as { agent: number };
  process.kill(agent, "SIGKILL");
  await until(async () => {
    const { agent: next } = JSON.parse(readFileSync(join(skiff.dataDir, "running.json"), "utf8"));
    return next !== agent;
  });
  const length = async () => (await kubectl(setting, { run: "logs count" })).out.trim().split("\n").length;
  const some = await until(async () => (await length()) > 5 && (await length()));
  await until(async () => (await length()) > some + 5);
  const lines = (await kubectl(setting, { run: "logs count" })).out.trim().split("\n");
  expect(lines).toEqual(lines.map((_, index) => String(index)));
  const after = await getPod(client, "count");
  expect(isReady(after)).toBe(true);
  expect(first(after)).toMatchObject({ containerID: before?.containerID, restartCount: 0 });
});

test("what is deleted leaves nothing behind", async () => {
  const { name } = JSON.parse(readFileSync(join(skiff.dataDir, "network.json"), "utf8")) as { name: string };
  await client.delete(deployments, { namespace: "default", name: "web" });
  const leftPods = async () => (await client.list(pods, { namespace: "default" })).items;
  for (const { metadata } of await leftPods()) {
    await client.delete(pods, { namespace: "default", name: metadata.name ?? "" }).catch(() => {});
  }
  await until(async () => (await leftPods()).length === 0);
  await until(async () => (await containersOf(engine.socket)).length === 0);
  const results = execFileSync("sh", ["-c", "ls /var/lib/cni/results || true"], { encoding: "utf8" });
  expect(results.split("\n").filter((file) => file.startsWith(`${name}-`))).toEqual([]);
});
