import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodes, secrets } from "#api";
import { silentLog, systemClock, systemRandom } from "#base";
import { formatToken, newToken, nodeGroup, tokenSecret } from "#bootstrap-tokens";
import { httpClient } from "#client";
import { blocks, type JoinableCluster, openJoinable } from "#test/join";
import { dataFolder } from "./data-folder.ts";
import { keepCertificate, type Membership, openMembership } from "./membership.ts";

const root = mkdtempSync(join(tmpdir(), "skiff-membership-"));
let cluster: JoinableCluster;
beforeAll(async () => {
  cluster = await openJoinable();
});
afterAll(async () => {
  await cluster.close();
  rmSync(root, { recursive: true });
});

const machine = { dataDir: root, runtime: "fake", installRuntime: false, overlay: "auto", verbose: false } as const;
const options = (more: object) => ({ ...machine, registryMirror: [], staticPodUrlHeader: [], nodeName: "a", ...more });
const stored = (folder: ReturnType<typeof dataFolder>) =>
  JSON.parse(readFileSync(join(folder.root, "membership.json"), "utf8")) as Membership;

test("joins once by a token, and starts again without it", async () => {
  const folder = dataFolder(join(root, "joins"));
  await expect(openMembership(folder, options({}))).rejects.toThrow(
    "this machine is not in a cluster yet: --server and --token are needed",
  );
  const token = newToken(systemRandom);
  await cluster.client.create(secrets, tokenSecret({ token, groups: [nodeGroup] }));
  const given = { server: `${cluster.server}/`, token: formatToken(token) };
  const member = await openMembership(folder, options(given));
  expect(member).toMatchObject({ server: cluster.server, ca: cluster.ca, name: "a", ...blocks });
  expect(await openMembership(folder, options({}))).toEqual(member);
  expect(await openMembership(folder, options(given))).toEqual(member);
});

test("renews a certificate that expires soon, stores it and then passes it on", async () => {
  const folder = dataFolder(join(root, "renews"));
  const subject = { commonName: "system:node:a", organizations: ["system:nodes"] };
  // Issued certificates are valid from a day ago: more than four fifths of that are over.
  const certificate = await cluster.issue(subject, { days: 0.1 });
  const member = { server: cluster.server, ca: cluster.ca, name: "a", certificate, ...blocks };
  const stopping = new AbortController();
  const renewed: Membership[] = [];
  await keepCertificate({
    member,
    folder,
    log: silentLog,
    signal: stopping.signal,
    renewed(next) {
      expect(stored(folder)).toEqual(next);
      renewed.push(next);
      stopping.abort();
    },
  });
  const [next] = renewed;
  const { validToDate, subject: name } = new X509Certificate(next!.certificate.cert);
  expect(validToDate.getTime()).toBeGreaterThan(systemClock.now() + 300 * 24 * 3_600_000);
  expect(name).toBe("O=system:nodes\nCN=system:node:a");
  const client = httpClient({ server: cluster.server, ca: cluster.ca, certificate: next!.certificate });
  // It is accepted: the node may read itself.
  await expect(client.get(nodes, { name: "a" })).rejects.toThrow('nodes "a" not found');
  client.close();
});
