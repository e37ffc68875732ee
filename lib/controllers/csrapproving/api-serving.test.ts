import { X509Certificate } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { apiServerNames, type CertificateSigningRequest, certificateSigningRequests } from "#api";
import { createAuthority, createRequest, signRequest } from "#auth/certificates";
import { openCluster, type TestCluster } from "#test/cluster";
import { handClock } from "#test/make";

/* Certificates by which nodes serve the API inside their pods: a signer of Skiff's own, which upstream does not have. */

const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const start = Date.parse("2030-01-01T00:00:00Z");
const authority = await createAuthority(start);
const names = [...apiServerNames, "10.96.0.1"];

let cluster: TestCluster;
let signatures: Promise<string>[] = [];
beforeEach(async () => {
  const clock = handClock(start);
  signatures = [];
  cluster = await openCluster({
    clock,
    signApiServing(request, issued) {
      const signature = signRequest({ authority, request, ...issued, now: clock.now() });
      signatures.push(signature);
      return signature;
    },
  });
});
afterEach(() => cluster.close());

const nodeA = { "impersonate-user": "system:node:a", "impersonate-group": "system:nodes" };
const ofNode = (name: string) => ({ commonName: `system:node:${name}`, organizations: ["system:nodes"] });

interface Wanted {
  subject?: { commonName: string; organizations?: readonly string[] };
  names?: string[];
  usages?: string[];
  as?: Record<string, string>;
}

async function make(name: string, wanted: Wanted = {}): Promise<void> {
  const { request } = await createRequest(wanted.subject ?? ofNode("a"), wanted.names ?? names);
  const usages = wanted.usages ?? ["digital signature", "server auth"];
  const spec = { request: btoa(request), usages, signerName: "skiff.dev/api-serving", expirationSeconds: 7_776_000 };
  const { status } = await cluster.ask("POST", path, { metadata: { name }, spec }, wanted.as ?? nodeA);
  expect(status).toBe(201);
}
const get = async (name: string): Promise<CertificateSigningRequest> => {
  await Promise.all(signatures);
  return cluster.client.get(certificateSigningRequests, { name });
};
const conditionsOf = async (name: string) => (await get(name)).status?.conditions ?? [];
const approve = async (name: string) => {
  const request = await cluster.client.get(certificateSigningRequests, { name });
  const conditions = [{ type: "Approved", status: "True", reason: "Test", message: "approved" }];
  const body = { ...request, apiVersion: "certificates.k8s.io/v1", kind: "CertificateSigningRequest" };
  expect((await cluster.ask("PUT", `${path}/${name}/approval`, { ...body, status: { conditions } })).status).toBe(200);
};

test("approves and signs a node's own request for the API's names", async () => {
  await make("own");
  const certificate = await cluster.until(async () => {
    const { status } = await get("own");
    return status?.certificate ? new X509Certificate(atob(status.certificate)) : false;
  });
  expect(certificate.verify(new X509Certificate(authority.cert).publicKey)).toBe(true);
  expect(certificate.subject).toBe("O=system:nodes\nCN=system:node:a");
  for (const name of apiServerNames) expect(certificate.checkHost(name)).toBe(name);
  expect(certificate.checkIP("10.96.0.1")).toBe("10.96.0.1");
  expect([certificate.ca, certificate.keyUsage]).toEqual([false, ["1.3.6.1.5.5.7.3.1"]]);
  expect((await conditionsOf("own"))[0]).toMatchObject({ type: "Approved", reason: "AutoApproved" });
});

const refused: [string, Wanted][] = [
  ["another node", { subject: ofNode("b") }],
  ["a user that is no node", { as: { "impersonate-user": "system:node:a", "impersonate-group": "system:masters" } }],
  ["no organization", { subject: { commonName: "system:node:a" } }],
  ["another organization", { subject: { commonName: "system:node:a", organizations: ["system:masters"] } }],
  ["another name", { names: [...names, "example.com"] }],
  ["fewer names", { names: names.slice(1) }],
  ["another address", { names: [...names, "10.96.0.10"] }],
  ["no address", { names: [...apiServerNames] }],
  ["a client's usage", { usages: ["digital signature", "client auth"] }],
  ["both usages", { usages: ["digital signature", "server auth", "client auth"] }],
];

test.each(refused)("does not approve a request for %s", async (_what, wanted) => {
  await make("wrong", wanted);
  await cluster.pass(60_000);
  expect(await conditionsOf("wrong")).toEqual([]);
  expect(signatures).toEqual([]);
});

test("signs no other names, even once a person has approved them", async () => {
  await make("wrong", { names: [...names, "example.com"] });
  await approve("wrong");
  const failed = await cluster.until(async () => (await conditionsOf("wrong")).find(({ type }) => type === "Failed"));
  expect(failed).toMatchObject({
    reason: "SignerValidationFailure",
    message: `DNS subjectAltNames are not [${apiServerNames.join(" ")}]`,
  });
});

test("fails an approved request in a cluster whose nodes do not serve the API", async () => {
  await cluster.close();
  cluster = await openCluster({ clock: handClock(start) });
  await make("own");
  const failed = await cluster.until(async () => (await conditionsOf("own")).find(({ type }) => type === "Failed"));
  expect(failed).toMatchObject({ reason: "SignerNotAvailable" });
});
