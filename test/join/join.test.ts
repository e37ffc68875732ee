import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { clusterRoleBindings, nodes, secrets } from "#api";
import { createAuthority } from "#auth/certificates";
import { systemClock } from "#base";
import { keyHashOf, parseToken } from "#bootstrap-tokens";
import { createToken, deleteTokens, listTokens } from "#cli/token";
import { kubeconfigText } from "#client";
import { discover, enroll, renew, renewalOf } from "#joining";
import { blocks, type JoinableCluster, openJoinable } from "./index.ts";

/* A whole control plane behind TLS, with kubeadm's objects for joining (cmd/kubeadm/app/discovery/token, v1.37.2). */

const clock = systemClock;
const dataDir = mkdtempSync(join(tmpdir(), "skiff-join-"));
let stage: JoinableCluster;
let server: string;
let ca: string;
let caHash: string;

beforeAll(async () => {
  stage = await openJoinable();
  ({ server, ca } = stage);
  caHash = keyHashOf(ca);
  const { cert, key } = await stage.issue({ commonName: "kubernetes-admin", organizations: ["system:masters"] });
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const credentials = { "client-certificate-data": base64(cert), "client-key-data": base64(key) };
  writeFileSync(
    join(dataDir, "kubeconfig"),
    kubeconfigText({ name: "c", server, ca, user: { name: "a", credentials } }),
  );
});
afterAll(async () => {
  await stage.close();
  rmSync(dataDir, { recursive: true });
});

/** What a command prints. */
async function printed(run: (output: { write(text: string): boolean }) => Promise<number>): Promise<string> {
  const texts: string[] = [];
  const output = { write: (text: string) => texts.push(text) > 0 };
  expect(await run(output as never)).toBe(0);
  return texts.join("");
}

async function makeToken(ttl = 3_600_000) {
  const text = await printed((output) => createToken({ dataDir, ttl, description: "a test" }, output));
  return { text, token: parseToken(/--token (\S+)/.exec(text)![1]!)! };
}

test("prints the command by which a machine joins", async () => {
  const { text, token } = await makeToken();
  expect(text).toBe(`skiff join --server ${server} --token ${token.id}.${token.secret} --ca-hash ${caHash}\n`);
});

test("lists and deletes tokens", async () => {
  const { token } = await makeToken();
  const { token: always } = await makeToken(0);
  const list = await printed((output) => listTokens({ dataDir }, output));
  expect(list).toMatch(/^TOKEN +EXPIRES +USAGES +DESCRIPTION$/m);
  expect(list).toMatch(new RegExp(`^${token.id}\\.${token.secret} +20\\S+Z +authentication,signing +a test$`, "m"));
  expect(list).toMatch(new RegExp(`^${always.id}\\.${always.secret} +<never>`, "m"));
  await printed((output) => deleteTokens({ dataDir, tokens: [token.id] }, output));
  expect(await printed((output) => listTokens({ dataDir }, output))).not.toContain(token.id);
  const again = deleteTokens({ dataDir, tokens: [token.id] }, { write: () => true });
  await expect(again).rejects.toThrow(`there is no token with the id ${token.id}`);
});

test("trusts the cluster by the hash or by the signature alone, and obtains a certificate of the node", async () => {
  const { token } = await makeToken();
  expect(await discover({ server, token, clock })).toEqual({ ca, ...blocks });
  expect(await discover({ server, token, caHash, clock })).toEqual({ ca, ...blocks });
  const { cert } = await enroll({ server, ca, token, nodeName: "joined", clock });
  const certificate = new X509Certificate(cert);
  expect(certificate.subject).toBe("O=system:nodes\nCN=system:node:joined");
  expect(certificate.verify(new X509Certificate(ca).publicKey)).toBe(true);
});

test("renews the certificate of a node by the current one, with a new key", async () => {
  const { token } = await makeToken();
  const certificate = await enroll({ server, ca, token, nodeName: "renews", clock });
  const next = await renew({ server, ca, certificate, nodeName: "renews", clock });
  expect(next.key).not.toBe(certificate.key);
  expect(new X509Certificate(next.cert).subject).toBe("O=system:nodes\nCN=system:node:renews");
  const { validFromDate: from, validToDate: to } = new X509Certificate(next.cert);
  expect((renewalOf(next) - from.getTime()) / (to.getTime() - from.getTime())).toBeCloseTo(0.8);
});

test("refuses a cluster with another authority", async () => {
  const { token } = await makeToken();
  const other = keyHashOf((await createAuthority(clock.now())).cert);
  await expect(discover({ server, token, caHash: other, clock })).rejects.toThrow(
    `the cluster's certificate authority is not that of --ca-hash: its hash is ${caHash}`,
  );
});

test("gives one clear error for a token with a wrong secret, and for a server that is gone", async () => {
  const { token } = await makeToken();
  const wrong = { ...token, secret: "0123456789abcdef" };
  await expect(discover({ server, token: wrong, caHash, clock })).rejects.toThrow("has another secret in this cluster");
  await expect(enroll({ server, ca, token: wrong, nodeName: "a", clock })).rejects.toThrow(
    "is not valid or has expired",
  );
  const gone = "https://127.0.0.1:1";
  await expect(discover({ server: gone, token, caHash, clock })).rejects.toThrow(`${gone} cannot be reached`);
});

test("gives one clear error for a token that has expired or is deleted", async () => {
  const { token } = await makeToken();
  const name = { namespace: "kube-system", name: `bootstrap-token-${token.id}` };
  const past = { stringData: { expiration: "2020-01-01T00:00:00Z" } };
  await stage.client.patch(secrets, name, past, { type: "merge" });
  await expect(enroll({ server, ca, token, nodeName: "a", clock })).rejects.toThrow("is not valid or has expired");
});

test("refuses the name of a node that is Ready, and a token of another purpose", async () => {
  const { token } = await makeToken();
  await stage.client.create(nodes, {
    metadata: { name: "taken" },
    status: {
      conditions: [{ type: "Ready", status: "True", lastHeartbeatTime: new Date().toISOString().slice(0, 19) + "Z" }],
    },
  } as never);
  await expect(enroll({ server, ca, token, nodeName: "taken", clock })).rejects.toThrow(
    "the cluster already has a node taken that is Ready: choose another --node-name",
  );
  await stage.client.delete(clusterRoleBindings, { name: "kubeadm:kubelet-bootstrap" });
  await expect(enroll({ server, ca, token, nodeName: "b", clock })).rejects.toThrow("is not one by which nodes join");
});
