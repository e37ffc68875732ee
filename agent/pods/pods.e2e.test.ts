import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Runtime } from "#agent/runtime";
import { containerdRuntime, importImage } from "#agent/runtime/containerd";
import { namedAfter, startPrivate, stopPrivate } from "#agent/runtime/containerd/private";
import { standInImages } from "#agent/runtime/oci";
import { podVolumes } from "#agent/volumes";
import { silentLog, systemClock } from "#base";
import { Cluster, makeContainer, makePod } from "./testing.ts";

const node = "pods-e2e";
let folder = "";
let socket = "";
let runtime: Runtime;
let cluster: Cluster;

beforeAll(async () => {
  folder = await mkdtemp("/tmp/skiff-");
  const network = { ...namedAfter(node), podCidr: "10.203.0.0/24", masquerade: false };
  ({ socket } = await startPrivate({ folder: `${folder}/containerd`, network, mirrors: {}, log: silentLog }));
  for (const [name, image] of Object.entries(await standInImages())) {
    await importImage(socket, `docker.io/library/${name}`, image);
  }
  runtime = containerdRuntime({ socket, owner: node, clock: systemClock });
  cluster = new Cluster({
    runtime,
    node: {
      name: node,
      cgroupDriver: "cgroupfs",
      cgroupRoot: "/skiff-pods-e2e",
      logFolder: `${folder}/logs`,
      runtimeName: "containerd",
      reachable: true,
    },
    volumes: (api) =>
      podVolumes({
        folder: `${folder}/pods`,
        memory: true,
        configMap: (namespace, name) => api.configMap(namespace, name),
        secret: (namespace, name) => api.secret(namespace, name),
        host: { ips: ["192.168.0.1"] },
        allocatable: {},
      }),
  });
});
afterAll(async () => {
  await cluster.manager.stop();
  await runtime.close();
  await stopPrivate(`${folder}/containerd`);
  await rm(folder, { recursive: true, force: true });
});

const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
};
const phase = (name: string) => cluster.status(name).phase;
const sh = (script: string, more = {}) =>
  makeContainer("main", { image: "busybox:latest", command: ["sh", "-c", script], ...more });
const run = async (name: string, command: string[]): Promise<string> => {
  const id = cluster.status(name).containerStatuses?.[0]?.containerID?.replace("containerd://", "") ?? "";
  return Buffer.from((await runtime.streams.run(id, command, 10)).stdout).toString();
};
const logs = async (name: string): Promise<string> => {
  const id = cluster.status(name).containerStatuses?.[0]?.containerID?.replace("containerd://", "") ?? "";
  const parts: Uint8Array[] = [];
  for await (const part of runtime.streams.logs(id, {})) parts.push(part);
  return Buffer.concat(parts).toString();
};

test("passes volumes, environment, identity and hosts to the container", async () => {
  cluster.configMaps.set("settings", { metadata: { name: "settings" }, data: { key: "value" } });
  const main = sh(
    "id -u; id -g; cat /etc/settings/key; cat /init/done; echo; hostname; tail -1 /etc/hosts; sleep 1000",
    {
      volumeMounts: [
        { name: "settings", mountPath: "/etc/settings" },
        { name: "shared", mountPath: "/init" },
      ],
    },
  );
  const init = makeContainer("init", {
    image: "busybox:latest",
    command: ["sh", "-c", "echo -n prepared > /init/done"],
    volumeMounts: [{ name: "shared", mountPath: "/init" }],
  });
  const pod = makePod("full", {
    spec: {
      initContainers: [init],
      containers: [main],
      securityContext: { runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000 },
      volumes: [
        { name: "settings", configMap: { name: "settings" } },
        { name: "shared", emptyDir: { medium: "Memory" } },
      ],
      terminationGracePeriodSeconds: 1,
    },
  });
  cluster.create(pod);
  await until(() => phase("full") === "Running");
  const ip = cluster.status("full").podIP;
  await until(async () => (await logs("full")).includes(`${ip}\tfull`));
  expect(await logs("full")).toBe(`1000\n3000\nvalueprepared\nfull\n${ip}\tfull\n`);
  cluster.configMaps.set("settings", { metadata: { name: "settings" }, data: { key: "changed" } });
  cluster.remove("full", 1);
  await until(() => !cluster.pods.has("full"));
  expect(await readdir(`${folder}/pods`)).toEqual([]);
  expect(await readdir(`${folder}/logs`)).toEqual([]);
  expect(await readFile("/proc/mounts", "utf8")).not.toContain(`${folder}/pods`);
});

test("reports exit codes, termination messages and OOM kills", async () => {
  const words = sh("echo last words > /dev/termination-log; exit 4");
  const fallback = sh("echo from the log; exit 5", { terminationMessagePolicy: "FallbackToLogsOnError" });
  const hungry = sh("tail /dev/zero", { resources: { limits: { memory: "20Mi" } } });
  for (const [name, container] of Object.entries({ words, fallback, hungry })) {
    cluster.create(makePod(name, { spec: { restartPolicy: "Never", containers: [container] } }));
  }
  await until(() => ["words", "fallback", "hungry"].every((name) => phase(name) === "Failed"));
  const ended = (name: string) => cluster.status(name).containerStatuses![0]!.state!.terminated;
  expect(ended("words")).toMatchObject({ exitCode: 4, reason: "Error", message: "last words\n" });
  expect(ended("fallback")).toMatchObject({ exitCode: 5, message: "from the log\n" });
  expect(ended("hungry")).toMatchObject({ exitCode: 137, reason: "OOMKilled" });
  for (const name of ["words", "fallback", "hungry"]) cluster.remove(name, 0);
  await until(() => cluster.pods.size === 0);
});

test("runs HTTP probes and hooks; a restarted agent restarts no container", async () => {
  const web = makeContainer("main", {
    image: "nginx:1.14.2",
    ports: [{ name: "web", containerPort: 80 }],
    readinessProbe: { httpGet: { path: "/", port: "web" }, periodSeconds: 1 },
    lifecycle: {
      postStart: { exec: { command: ["sh", "-c", "echo hello > /tmp/started"] } },
      preStop: { exec: { command: ["sh", "-c", "echo bye > /proc/1/fd/1"] } },
    },
  });
  cluster.create(makePod("web", { spec: { containers: [web] } }));
  await until(() => cluster.status("web").containerStatuses?.[0]?.ready === true);
  expect(await run("web", ["cat", "/tmp/started"])).toBe("hello\n");
  const before = cluster.status("web");
  const writes = cluster.writes();
  await cluster.restart();
  await new Promise((resolve) => setTimeout(resolve, 2500));
  expect(cluster.status("web")).toEqual(before);
  expect(cluster.writes()).toBe(writes);
  const [sandbox] = await runtime.pods.list({ uid: cluster.pods.get("web")!.metadata.uid! });
  const connection = await runtime.streams.forward(sandbox!.id, 80);
  connection.write("GET / HTTP/1.0\r\n\r\n");
  expect(await text(connection)).toContain("Welcome to nginx!");
  cluster.remove("web", 10);
  await until(() => !cluster.pods.has("web"));
  expect(cluster.events.at(-1)).toBe("Normal Killing Stopping container main");
});
