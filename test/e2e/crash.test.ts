import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { configMaps, type Pod, pods } from "#api";
import { isReason } from "#base";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { connect, isReady, until } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { skiffDown } from "./skiff.ts";

let registry: Registry;
let skiff: SkiffProcess;

beforeAll(async () => {
  registry = await startRegistry();
  skiff = await start();
});

afterAll(async () => {
  if (skiff) await skiffDown(skiff);
  await registry?.stop();
});

const start = (dataDir?: string) =>
  startSkiff(["--runtime", "containerd", "--registry-mirror", `docker.io=http://${registry.address}`], dataDir);

test("kill -9 under a thousand creates loses nothing that was acknowledged and disturbs no pod", {
  timeout: 120_000,
}, async () => {
  let client = connect(skiff.dataDir);
  const spec = {
    containers: [{ name: "main", image: "busybox", command: ["sleep", "100000"] }],
    terminationGracePeriodSeconds: 1,
  };
  await until(async () =>
    client.create(pods, { metadata: { name: "steady", namespace: "default" }, spec } as Pod).catch(() => undefined),
  );
  const before = await until(async () => {
    const pod = await client.get(pods, { namespace: "default", name: "steady" });
    return isReady(pod) && pod;
  });
  const { revision } = await client.list(configMaps, { namespace: "default" });

  const acknowledged = new Map<string, string>();
  const names = Array.from({ length: 1000 }, (_, index) => `made-${index}`);
  const work = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      const made = await client.create(configMaps, { metadata: { name, namespace: "default" }, data: { name } });
      acknowledged.set(name, made.metadata.resourceVersion!);
      if (acknowledged.size === 400) skiff.process.kill("SIGKILL");
    }
  };
  await Promise.allSettled(Array.from({ length: 32 }, work));
  // The process may have ended before anything waits for it.
  if (skiff.process.signalCode === null && skiff.process.exitCode === null) await once(skiff.process, "exit");
  client.close();
  expect(acknowledged.size).toBeGreaterThanOrEqual(400);
  expect(acknowledged.size).toBeLessThan(1000);

  skiff = await start(skiff.dataDir);
  client = connect(skiff.dataDir);
  const { items } = await client.list(configMaps, { namespace: "default" });
  const there = new Map(items.map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
  for (const [name, at] of acknowledged) expect(there.get(name), name).toBe(at);

  // A client's watch continues from its last revision and receives each acknowledged object once.
  const signal = AbortSignal.timeout(30_000);
  const seen: string[] = [];
  try {
    for await (const event of client.watch(configMaps, { namespace: "default", revision, signal })) {
      if (event.type === "ADDED") seen.push(event.object.metadata.name ?? "");
      if (acknowledged.size <= seen.length && [...acknowledged.keys()].every((name) => seen.includes(name))) break;
    }
    expect(new Set(seen).size).toBe(seen.length);
    for (const name of acknowledged.keys()) expect(seen).toContain(name);
  } catch (error) {
    if (!isReason(error, "Expired")) throw error;
  }

  const after = await until(async () => {
    const pod = await client.get(pods, { namespace: "default", name: "steady" });
    return isReady(pod) && pod;
  });
  expect(after.status?.containerStatuses?.map(({ containerID, restartCount }) => [containerID, restartCount])).toEqual(
    before.status?.containerStatuses?.map(({ containerID, restartCount }) => [containerID, restartCount]),
  );
  expect(after.status?.podIP).toBe(before.status?.podIP);
  client.close();
});
