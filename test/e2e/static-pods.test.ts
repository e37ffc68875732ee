import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type ServerResponse } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Event, events, type Pod, pods } from "#api";
import type { HttpClient } from "#client";
import { findPod, isReady, until } from "./client.ts";
import { Machine } from "./machine.ts";

let machine: Machine;
let client: HttpClient;
let folder: string;
let port: number;
/** Where the machine looks for manifests; no server listens there at first. */
let urlPort: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skiff-manifests-"));
  [port, urlPort] = [await freePort(), await freePort()];
  writeFileSync(join(folder, "early.yaml"), manifest("early"));
  machine = await Machine.open([
    ...["--static-pod-path", folder, "--static-pod-port", String(port)],
    ...["--static-pod-url", `http://127.0.0.1:${urlPort}/`],
  ]);
  ({ client } = machine);
});
afterAll(async () => {
  await machine?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port: free } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return free;
}

const manifest = (name: string, seconds = 100_000) => `apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - { name: main, image: busybox, command: [sleep, "${seconds}"] }
`;
const running = (name: string, is: (pod: Pod) => boolean = () => true) =>
  until(async () => {
    const pod = await findPod(client, name);
    return pod && isReady(pod) && is(pod) && pod;
  });
/** The events of the node about a manifest's place, once there is one. */
const faultsOf = (place: string): Promise<Event[]> =>
  until(async () => {
    const { items } = await client.list(events, { namespace: "default" });
    const found = items.filter(({ reason, message }) => reason === "InvalidStaticPod" && message?.startsWith(place));
    return found.length > 0 && found;
  });
const containerOf = ({ status }: Pod) => status?.containerStatuses?.[0]?.containerID;

test("a manifest in the folder runs, and its pod is in the API while it does", async () => {
  const pod = await running("early-boat");
  expect(pod).toMatchObject({
    metadata: { annotations: { "kubernetes.io/config.source": "file" }, ownerReferences: [{ kind: "Node" }] },
    spec: { nodeName: "boat" },
    status: { phase: "Running", podIP: expect.any(String) },
  });
  const path = join(folder, "early.yaml");
  writeFileSync(path, manifest("early", 200_000));
  const changed = await running("early-boat", (next) => containerOf(next) !== containerOf(pod));
  expect(changed.spec?.containers[0]?.command).toEqual(["sleep", "200000"]);
  rmSync(path);
  await until(async () => (await findPod(client, "early-boat")) === undefined);
});

test("a source at a URL that is gone or sends 100 MB is one event each, and its last pods and others run on", async () => {
  const place = `http://127.0.0.1:${urlPort}/`;
  const messages = async () => (await faultsOf(place)).map(({ message, count }) => [message, count]);
  const gone = [`${place}: connect ECONNREFUSED 127.0.0.1:${urlPort}`, 1];
  expect(await messages()).toEqual([gone]);
  let answer = (response: ServerResponse): void => void response.end(manifest("fetched"));
  const server = createHttpServer((_request, response) => answer(response)).listen(urlPort, "127.0.0.1");
  await once(server, "listening");
  const before = await running("fetched-boat");
  let sent = 0;
  answer = (response) => {
    const piece = Buffer.alloc(2 ** 20, " ");
    const more = (): void => {
      while (sent < 100 && !response.destroyed && response.write(piece)) sent++;
      if (sent < 100) response.once("drain", more);
      else response.end();
    };
    more();
  };
  const tooLong = [`${place}: the answer has more than 10485760 bytes`, 1];
  await until(async () => (await messages()).length === 2);
  expect(await messages()).toEqual(expect.arrayContaining([gone, tooLong]));
  // The agent hangs up: what was sent is about the limit, and what the sockets hold.
  expect(sent).toBeLessThan(50);
  server.closeAllConnections();
  server.close();
  const again = [gone[0], 2];
  await until(async () => (await messages()).some(([, count]) => count === 2));
  expect(await messages()).toEqual(expect.arrayContaining([again, tooLong]));
  writeFileSync(join(folder, "later.yaml"), manifest("later"));
  await running("later-boat");
  expect(containerOf(await running("fetched-boat"))).toBe(containerOf(before));
});

test("a mirror pod that is deleted comes back, and the container runs on", async () => {
  writeFileSync(join(folder, "steady.yaml"), manifest("steady"));
  const before = await running("steady-boat");
  await client.delete(pods, { namespace: "default", name: "steady-boat" });
  const after = await running("steady-boat", ({ metadata }) => metadata.uid !== before.metadata.uid);
  expect(containerOf(after)).toBe(containerOf(before));
});

test("the agent killed with SIGKILL and the cluster started again leave the container alone", async () => {
  const before = await running("steady-boat");
  await machine.crash();
  ({ client } = machine);
  const after = await running("steady-boat");
  expect([after.metadata.uid, containerOf(after)]).toEqual([before.metadata.uid, containerOf(before)]);
});

test("a manifest that is sent to the port runs until it is deleted", async () => {
  const token = readFileSync(join(machine.dataDir, "agents", "containerd", "manifest-token"), "utf8").trim();
  const send = (method: string, body?: string) =>
    fetch(`http://127.0.0.1:${port}/manifests/sent`, {
      ...{ method, headers: { authorization: `Bearer ${token}` } },
      ...(body === undefined ? {} : { body }),
    });
  // The agent may still be starting: the API has its node and its pods from before.
  const sent = await until(() => send("PUT", manifest("sent")).catch(() => undefined));
  expect(await sent.json()).toEqual({ pods: ["default/sent-boat"] });
  await running("sent-boat");
  expect((await send("DELETE")).status).toBe(200);
  await until(async () => (await findPod(client, "sent-boat")) === undefined);
});

test("a malformed manifest is one event of the node, and other pods run on", async () => {
  const before = await running("steady-boat");
  writeFileSync(join(folder, "wrong.yaml"), "apiVersion: v1\nkind: Pod\nmetadata: { name: wrong }\nspec: {}\n");
  const [event] = await faultsOf(join(folder, "wrong.yaml"));
  expect(event).toMatchObject({
    involvedObject: { kind: "Node", name: "boat" },
    message: `${join(folder, "wrong.yaml")}: invalid pod: spec.containers: Required value`,
    count: 1,
  });
  expect(containerOf(await running("steady-boat"))).toBe(containerOf(before));
});
