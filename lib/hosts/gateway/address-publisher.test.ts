import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { namespaces, secrets } from "#api";
import { createAuthority } from "#auth/certificates";
import { type Log, silentLog, systemClock } from "#base";
import { issueServer } from "#hosts/aws/authority/issuing";
import { openCluster, type TestCluster } from "#test/cluster";
import { handClock } from "#test/make";
import { AddressPublisher, answersAt } from "./address-publisher.ts";
import { type Endpoint, nodesEndpoint } from "./certificate.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await openCluster({ asleep: true });
  for (const name of ["kube-system", "kube-public"]) {
    if ((await cluster.ask("GET", `/api/v1/namespaces/${name}`)).status === 404)
      await cluster.client.create(namespaces, { metadata: { name } });
  }
});
afterAll(() => cluster.close());

const at = (address: string): Endpoint => ({ server: `https://${address}:6443`, ca: "its authority" });
const forClients = at("gateway.example.com");
const link = { namespace: "kube-system", name: "skiff-gateway-link" };
const minute = 60_000;

/** A gateway's task; `pass` lets minutes pass; `up` are the servers that answer. */
async function task(address: string, up: Set<string>, clock = handClock()) {
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => warnings.push(message) };
  const publisher = new AddressPublisher({
    client: cluster.client,
    forClients,
    forNodes: at(address),
    clock,
    log,
    answers: async ({ server }) => up.has(server),
  });
  await publisher.start();
  const pass = async (minutes: number): Promise<void> => {
    for (; minutes > 0; minutes--) {
      clock.move(minute);
      await cluster.quiet();
    }
  };
  return { warnings, stop: () => publisher.stop(), pass };
}
const published = async (): Promise<string | undefined> => (await nodesEndpoint(cluster.client))?.server;

test("publishes the old task's address again after a rollback, once the new task does not answer", async () => {
  const [before, after] = [at("10.0.1.5").server, at("10.0.2.6").server];
  const up = new Set([before, after]);
  const first = await task("10.0.1.5", up);
  expect(await published()).toBe(before);
  const second = await task("10.0.2.6", up);
  expect(await published()).toBe(after);

  await first.pass(10);
  expect(await published()).toBe(after);

  second.stop();
  up.delete(after);
  await first.pass(2);
  // It may only be slow.
  up.add(after);
  await first.pass(1);
  up.delete(after);
  await first.pass(2);
  expect([await published(), first.warnings]).toEqual([after, []]);
  await first.pass(1);
  expect([await published(), first.warnings.length]).toEqual([before, 1]);
  await first.pass(5);
  expect(first.warnings).toHaveLength(1);
  first.stop();
});

test("publishes again what was deleted, until it is stopped", async () => {
  const only = await task("10.0.1.5", new Set());
  await cluster.client.delete(secrets, link);
  await only.pass(1);
  expect(await published()).toBe(at("10.0.1.5").server);
  only.stop();
  await cluster.client.delete(secrets, link);
  await only.pass(5);
  expect(await published()).toBeUndefined();
});

test("repeats a failed first attempt", async () => {
  let failures = 1;
  const client: typeof cluster.client = {
    ...cluster.client,
    create(...args) {
      if (failures-- > 0) throw new Error("the table does not answer");
      return cluster.client.create(...args);
    },
  };
  const clock = handClock();
  const publisher = new AddressPublisher({ client, forClients, forNodes: at("10.0.3.7"), clock, log: silentLog });
  await publisher.start();
  expect(await published()).not.toBe(at("10.0.3.7").server);
  clock.move(minute);
  await expect.poll(published).toBe(at("10.0.3.7").server);
  publisher.stop();
});

test("a gateway answers when a server has a certificate of its CA", async () => {
  const [own, others] = await Promise.all([createAuthority(systemClock.now()), createAuthority(systemClock.now())]);
  const { cert, key } = await issueServer(own, [], systemClock);
  const server = createServer({ cert, key }, (_, response) => response.writeHead(503).end());
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect(await answersAt({ server: address, ca: own.cert })).toBe(true);
  expect(await answersAt({ server: address, ca: others.cert })).toBe(false);
  expect(await answersAt({ server: "", ca: own.cert })).toBe(false);
  server.close();
  expect(await answersAt({ server: address, ca: own.cert })).toBe(false);
});
