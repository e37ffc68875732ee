import { X509Certificate } from "node:crypto";
import { createServer, get } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { configMaps, secrets } from "#api";
import { createRequest } from "#auth/certificates";
import { systemClock } from "#base";
import type { Client } from "#client";
import { authoritySecret, readAuthority, trustedAuthorities, trustedWith } from "#hosts/aws/authority";
import { openCluster, type TestCluster } from "#test/cluster";
import { parseRequest } from "#x509";
import { issueServer, openAuthority, signByAuthority } from "./index.ts";

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await openCluster({ asleep: true });
  await cluster.plane.bootstrap();
});
afterEach(() => cluster.close());

test("of two first writers both use the stored authority", async () => {
  const { client } = cluster.plane;
  const opened = await Promise.all([openAuthority(client, systemClock), openAuthority(client, systemClock)]);
  const stored = await readAuthority(client);
  expect(opened).toEqual([stored, stored]);
  expect(await openAuthority(client, systemClock)).toEqual(stored);
  expect((await client.get(secrets, authoritySecret)).type).toBe("kubernetes.io/tls");
});

test("a failed write creates no authority", async () => {
  const { client } = cluster.plane;
  const broken: Client = { ...client, create: () => Promise.reject(new Error("the table does not answer")) };
  await expect(openAuthority(broken, systemClock)).rejects.toThrow("the table does not answer");
  expect(await readAuthority(client)).toBeUndefined();
});

test("pods trust AWS's endpoints and the authority, and not its key", async () => {
  const { client } = cluster.plane;
  const before = await trustedAuthorities(client);
  const subjects = (pem: string) =>
    pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)!.map((one) => new X509Certificate(one));
  expect(subjects(before).map(({ subject }) => subject)).toContain("C=US\nO=Amazon\nCN=Amazon Root CA 1");
  const authority = await openAuthority(client, systemClock);
  const after = await trustedAuthorities(client);
  expect(after).toBe(trustedWith(authority));
  expect(subjects(after).at(-1)!.raw).toEqual(new X509Certificate(authority.cert).raw);
  expect(subjects(after)).toHaveLength(subjects(before).length + 1);
  expect(after).not.toContain("PRIVATE KEY");
});

test("a certificate of the authority is trusted by what pods get", async () => {
  const { client } = cluster.plane;
  const { key, request } = await createRequest({ commonName: "system:node:a" }, ["kubernetes.default.svc"]);
  const signed = { request: parseRequest(request), usages: ["digital signature", "server auth"], seconds: 3600 };
  const cert = await signByAuthority(client, systemClock, signed);
  const own = await issueServer((await readAuthority(client))!, ["gateway"], systemClock);
  expect(new X509Certificate(own.cert).checkHost("gateway")).toBe("gateway");
  const server = createServer({ cert, key }, (_, response) => response.end()).listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const ca = await trustedAuthorities(client);
  const { port } = server.address() as AddressInfo;
  const status = await new Promise((done, failed) => {
    get({ host: "127.0.0.1", port, servername: "kubernetes.default.svc", ca }, (answer) => done(answer.statusCode)).on(
      "error",
      failed,
    );
  });
  expect(status).toBe(200);
  server.closeAllConnections();
  server.close();
});

test("a control plane publishes what it reads to every namespace", async () => {
  await cluster.close();
  cluster = await openCluster({ ca: trustedAuthorities });
  const published = async () => {
    const found = await cluster.client.get(configMaps, { namespace: "default", name: "kube-root-ca.crt" });
    return found.data?.["ca.crt"];
  };
  await cluster.until(async () => (await published()) !== undefined);
  expect(await published()).toBe(trustedWith(undefined));
});
