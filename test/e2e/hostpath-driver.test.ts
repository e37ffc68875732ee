import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mountsBelow } from "#agent/runtime";
import { csiDrivers, csiNodes, nodes, pods } from "#api";
import { ignoreNotFound } from "#base";
import type { HttpClient } from "#client";
import { kubectl } from "../kubectl/runner.ts";
import { createPod, findPod, readyPod, until } from "./client.ts";
import { Machine } from "./machine.ts";

/** Programs of kubernetes-csi: hostpathplugin of csi-driver-host-path, and node-driver-registrar. */
const { SKIFF_CSI_HOSTPATH: driverProgram, SKIFF_CSI_REGISTRAR: registrarProgram } = process.env;
const isWanted = driverProgram !== undefined && registrarProgram !== undefined;

let machine: Machine;
let client: HttpClient;
let folder: string;
const children: ChildProcess[] = [];

const agentFolder = () => join(machine.dataDir, "agents", "containerd");
const socket = () => join(folder, "csi.sock");
function run(program: string, words: string[]): ChildProcess {
  const child = spawn(program, words, { stdio: "ignore" });
  children.push(child);
  return child;
}
const startDriver = () =>
  run(driverProgram!, [
    `--endpoint=unix://${socket()}`,
    `--statedir=${folder}/data`,
    "--nodeid=boat",
    "--maxvolumespernode=17",
  ]);

beforeAll(async () => {
  if (!isWanted) return;
  folder = mkdtempSync(join(tmpdir(), "skiff-hostpath-"));
  mkdirSync(join(folder, "data"));
  machine = await Machine.open();
  ({ client } = machine);
  const volumeLifecycleModes = ["Persistent", "Ephemeral"];
  const spec = { volumeLifecycleModes, podInfoOnMount: true, fsGroupPolicy: "File" };
  await client.create(csiDrivers, { metadata: { name: "hostpath.csi.k8s.io" }, spec });
});
afterAll(async () => {
  for (const child of children) child.kill();
  await machine?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const registered = async () => (await ignoreNotFound(client.get(csiNodes, { name: "boat" })))?.spec.drivers ?? [];

test.skipIf(!isWanted)(
  "the hostpath driver of kubernetes-csi and its registrar serve volumes of pods' specs",
  async () => {
    const driver = startDriver();
    await until(async () => existsSync(socket()));
    const words = [`--csi-address=${socket()}`, `--kubelet-registration-path=${socket()}`];
    const registrar = run(registrarProgram!, [
      ...words,
      `--plugin-registration-path=${agentFolder()}/plugins_registry`,
    ]);
    await until(async () => (await registered()).length > 0);
    expect(await registered()).toEqual([
      {
        name: "hostpath.csi.k8s.io",
        nodeID: "boat",
        topologyKeys: ["topology.hostpath.csi/node"],
        allocatable: { count: 17 },
      },
    ]);
    const { metadata } = await client.get(nodes, { name: "boat" });
    expect(metadata.labels).toMatchObject({ "topology.hostpath.csi/node": "boat" });

    const script = "echo hi >/data/x; sleep 100000";
    await createPod(client, "inline", {
      terminationGracePeriodSeconds: 1,
      securityContext: { fsGroup: 4321 },
      containers: [
        {
          name: "main",
          image: "busybox",
          command: ["sh", "-c", script],
          volumeMounts: [{ name: "v", mountPath: "/data" }],
        },
      ],
      volumes: [{ name: "v", csi: { driver: "hostpath.csi.k8s.io", volumeAttributes: { size: "10Mi" } } }],
    });
    await readyPod(client, "inline");
    const measured = await until(async () => {
      const request = { run: "get --raw /api/v1/nodes/boat/proxy/stats/summary", global: true } as const;
      const { out } = await kubectl(machine.setting, request);
      const summary = JSON.parse(out) as { pods: { podRef: { name: string }; volume?: { name: string }[] }[] };
      return summary.pods.find(({ podRef }) => podRef.name === "inline")?.volume?.find(({ name }) => name === "v");
    });
    expect(measured).toMatchObject({ capacityBytes: expect.any(Number), inodes: expect.any(Number) });
    const volumes = () => readdirSync(join(folder, "data")).filter((name) => name.startsWith("csi-"));
    expect(volumes()).toHaveLength(1);

    // The driver dies while its volume is in use.
    driver.kill("SIGKILL");
    startDriver();
    await client.delete(pods, { namespace: "default", name: "inline" });
    await until(async () => (await findPod(client, "inline")) === undefined);
    expect(volumes()).toEqual([]);
    expect(
      (await mountsBelow(join(agentFolder(), "pods"))).filter((path) => path.includes("kubernetes.io~csi")),
    ).toEqual([]);
    registrar.kill();
    await until(async () => (await registered()).length === 0);
  },
  300_000,
);
