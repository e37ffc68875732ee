import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { events, type Node, nodes, type Pod } from "#api";
import type { HttpClient } from "#client";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { connect, createPod, getPod, readyPod, until } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { skiffDown } from "./skiff.ts";

let registry: Registry;
let skiff: SkiffProcess;
let client: HttpClient;
let folder: string;

const grace = { terminationGracePeriodSeconds: 1 };
const shell = (script: string, more: object = {}) => ({
  ...{ name: "main", image: "busybox", command: ["sh", "-c", script] },
  ...more,
});

/** The data folder is on a small disk of its own, which the test fills. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skiff-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=400m", "tmpfs", folder]);
  registry = await startRegistry();
  const data = join(folder, "data");
  mkdirSync(data);
  const mirror = `docker.io=http://${registry.address}`;
  skiff = await startSkiff(
    ["--registry-mirror", mirror, "--node-name", "boat", "--eviction-hard", "nodefs.available<20%"],
    data,
  );
  client = connect(skiff.dataDir);
});
afterAll(async () => {
  client?.close();
  if (skiff) await skiffDown(skiff);
  await registry?.stop();
  execFileSync("umount", [folder]);
  rmSync(folder, { recursive: true, force: true });
});

const failed = (name: string): Promise<Pod> =>
  until(async () => {
    const pod = await getPod(client, name);
    return pod.status?.phase === "Failed" && pod;
  }, 150);

const source = "kubelet of v1.37.2";

test("a pod that writes more than its emptyDir may hold is evicted", async () => {
  await createPod(client, "writer", {
    ...grace,
    containers: [
      shell("dd if=/dev/zero of=/data/file bs=2097152 count=1; sleep 10000", {
        volumeMounts: [{ name: "data", mountPath: "/data" }],
      }),
    ],
    volumes: [{ name: "data", emptyDir: { sizeLimit: "1Mi" } }],
  });
  const { status } = await failed("writer");
  expect([status?.reason, status?.message], source).toEqual([
    "Evicted",
    'Usage of EmptyDir volume "data" exceeds the limit "1Mi". ',
  ]);
  // Its containers have ended, and its event says why.
  expect(status?.containerStatuses?.[0]?.state?.terminated).toBeDefined();
  const { items } = await client.list(events, { namespace: "default" });
  expect(items.find(({ reason }) => reason === "Evicted")?.involvedObject.name).toBe("writer");
});

test("on a disk that fills up the largest pod goes, the node says so, and others are rejected", async () => {
  const writes = (bytes: number) => `dd if=/dev/zero of=/file bs=${bytes} count=1; sleep 10000`;
  await createPod(client, "small", { ...grace, containers: [shell("sleep 10000")] });
  await createPod(client, "large", { ...grace, containers: [shell(writes(20 * 2 ** 20))] });
  await Promise.all([readyPod(client, "small"), readyPod(client, "large")]);
  fillTo(0.15);
  const { status } = await failed("large");
  expect(status?.reason, source).toBe("Evicted");
  expect(status?.message, source).toMatch(/^The node was low on resource: ephemeral-storage\. Threshold quantity: \d+/);
  expect(
    status?.conditions?.find(({ type }) => type === "DisruptionTarget"),
    source,
  ).toMatchObject({
    ...{ status: "True", reason: "TerminationByKubelet", message: status?.message },
  });
  const pressure = ({ status }: Node) => status?.conditions?.find(({ type }) => type === "DiskPressure")?.status;
  await until(async () => pressure(await client.get(nodes, { name: "boat" })) === "True");
  await createPod(client, "late", { ...grace, nodeName: "boat", containers: [shell("sleep 10000")] });
  expect((await failed("late")).status, source).toMatchObject({
    ...{ reason: "Evicted", message: "Pod was rejected: The node had condition: [DiskPressure]. " },
  });
});

/** Fills the disk until this share of it is free. */
function fillTo(share: number): void {
  const file = openSync(join(folder, "filler"), "a");
  const { bavail, blocks, bsize } = statfsSync(folder);
  const block = Buffer.alloc(2 ** 20);
  for (let left = (bavail - blocks * share) * bsize; left > 0; left -= block.length) writeSync(file, block);
  closeSync(file);
}
