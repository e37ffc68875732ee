import { mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Runtime } from "#agent/runtime";
import type { CniNetwork } from "#agent/runtime/cni";
import { plainContainer, plainSandbox } from "#agent/runtime/testing";
import { containerBody, containerName } from "./convert.ts";
import { Engine } from "./engine.ts";
import { containersOf, loadBusybox, openDocker, removeNetwork, startEngine, type TestEngine } from "./testing/index.ts";

const owner = "docker-crash";
const image = "registry.invalid/busybox:1";

let folder: string;
let engine: TestEngine;
let runtime: Runtime;
let network: CniNetwork;

const open = () => openDocker({ socket: engine.socket, folder, owner, podCidr: "10.214.0.0/24" });
beforeAll(async () => {
  folder = await mkdtemp("/tmp/skiff-");
  engine = await startEngine("podman", join(folder, "engine"));
  await loadBusybox(engine.socket, image);
  ({ runtime, network } = await open());
});
afterAll(async () => {
  for (const { id } of (await runtime?.pods.list()) ?? []) await runtime.pods.removeSandbox(id);
  await runtime?.close();
  await engine?.stop();
  await removeNetwork(owner);
  if (folder) await rm(folder, { recursive: true, force: true });
});

const specOf = (name: string) =>
  plainSandbox({ name, namespace: "default", uid: `uid-${name}`, logDirectory: join(folder, "logs", name) });

/** How many addresses are in use. */
const leases = async (): Promise<number> =>
  (await readdir(join(folder, "addresses", `skiff-${owner}`))).filter((name) => /^[\d.]+$/.test(name)).length;

test("a sandbox that a crash left without a stored network is not ready, and is created again", async () => {
  const spec = specOf("half");
  const before = await runtime.pods.runSandbox(spec);
  // The state between the plugins' work and its record: the address is in use, and no result is stored.
  await rm(`/var/lib/cni/results/skiff-${owner}-${before.id}-eth0`);
  expect(await runtime.pods.list()).toMatchObject([{ id: before.id, state: "notReady", ips: [] }]);
  const after = await runtime.pods.runSandbox(spec);
  expect(after.id).not.toBe(before.id);
  expect(after).toMatchObject({ state: "ready", ips: [expect.stringMatching(/^10\.214\.0\./)] });
  expect([await leases(), (await containersOf(engine.socket)).length]).toEqual([1, 1]);
  await runtime.pods.removeSandbox(after.id);
  expect([await leases(), (await containersOf(engine.socket)).length]).toEqual([0, 0]);
});

test("a container that a crash left created is started by the next try", async () => {
  const spec = specOf("created");
  const sandbox = await runtime.pods.runSandbox(spec);
  const found = (await runtime.images.find(image))!;
  const container = plainContainer({ image, imageId: found.id, command: ["sleep", "1000"] });
  const start = { sandboxId: sandbox.id, sandbox: spec, container };
  const api = new Engine(engine.socket);
  const around = { owner, engine: await api.version(), sandboxImage: "", mayLowerOomScore: false };
  const body = await containerBody(start, around);
  const created = await api.json<{ Id: string }>("POST", "/containers/create", {
    query: { name: containerName(start) },
    body,
  });
  expect((await runtime.pods.list())[0]?.containers).toMatchObject([{ id: created.Id, state: "created" }]);
  expect(await runtime.pods.startContainer(start)).toBe(created.Id);
  expect((await runtime.pods.list())[0]?.containers).toMatchObject([{ id: created.Id, state: "running" }]);
  await runtime.pods.removeSandbox(sandbox.id);
});

test("the address of a sandbox that another program removed is freed at the next start", async () => {
  const sandbox = await runtime.pods.runSandbox(specOf("lost"));
  await new Engine(engine.socket).json("DELETE", `/containers/${sandbox.id}`, { query: { force: true } });
  expect(await containersOf(engine.socket)).toEqual([]);
  expect(await network.attached()).toEqual([sandbox.id]);
  const next = await open();
  const stop = new AbortController();
  const following = (async () => {
    for await (const _uid of next.runtime.changes(stop.signal)) {
      // No pod is left.
    }
  })();
  while ((await network.attached()).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  stop.abort();
  await following;
  await next.runtime.close();
  expect(await leases()).toBe(0);
});
