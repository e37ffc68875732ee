import { X509Certificate } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CertificateSigningRequest, certificateSigningRequests, clusterRoleBindings } from "#api";
import { createAuthority, createRequest, signRequest } from "#auth/certificates";
import { ignoreNotFound } from "#base";
import { openCluster, type TestCluster } from "#test/cluster";
import { handClock } from "#test/make";

/* Right values: kube-controller-manager v1.37.2 (pkg/controller/certificates: sarapprove.go, signer.go, cleaner.go). */

const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const start = Date.parse("2030-01-01T00:00:00Z");
const hour = 3_600_000;
const kubeletUsages = ["digital signature", "client auth"];
const kubeletClient = "kubernetes.io/kube-apiserver-client-kubelet";

const authority = await createAuthority(start);
const node = { commonName: "system:node:a", organizations: ["system:nodes"] };
let cluster: TestCluster;
/** Signatures are computed outside the cluster's time: tests await them. */
let signatures: Promise<string>[] = [];
beforeEach(async () => {
  const clock = handClock(start);
  signatures = [];
  cluster = await openCluster({
    clock,
    sign(request, issued) {
      const signature = signRequest({ authority, request, ...issued, now: clock.now() });
      signatures.push(signature);
      return signature;
    },
  });
});
afterEach(() => cluster.close());

const joining = { "impersonate-user": "system:bootstrap:abcdef", "impersonate-group": "system:bootstrappers" };

interface Wanted {
  subject?: { commonName: string; organizations?: readonly string[] };
  names?: string[];
  usages?: string[];
  signerName?: string;
  expirationSeconds?: number;
  as?: Record<string, string>;
}

async function make(name: string, { subject = node, names, as = joining, ...spec }: Wanted = {}) {
  const { request } = await createRequest(subject, names);
  const body = {
    metadata: { name },
    spec: { request: btoa(request), usages: kubeletUsages, signerName: kubeletClient, ...spec },
  };
  return cluster.ask("POST", path, body, as);
}

async function bind(role: string, group: string) {
  await cluster.client.create(clusterRoleBindings, {
    metadata: { name: `${group}:${role}`.replaceAll(":", "-") },
    subjects: [{ kind: "Group", apiGroup: "rbac.authorization.k8s.io", name: group }],
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
  });
}

const prefix = "system:certificates.k8s.io:certificatesigningrequests:";
const get = async (name: string) => {
  await Promise.all(signatures);
  return ignoreNotFound(cluster.client.get(certificateSigningRequests, { name }));
};
const typesOf = (request: CertificateSigningRequest | undefined) =>
  (request?.status?.conditions ?? []).map(({ type }) => type);
const issued = (name: string) =>
  cluster.until(async () => {
    const certificate = (await get(name))?.status?.certificate;
    return certificate === undefined ? false : new X509Certificate(atob(certificate));
  });

async function approve(name: string, as: Record<string, string> = {}) {
  const request = await cluster.client.get(certificateSigningRequests, { name });
  const conditions = [{ type: "Approved", status: "True", reason: "Test", message: "approved" }];
  const body = { ...request, apiVersion: "certificates.k8s.io/v1", kind: "CertificateSigningRequest" };
  return cluster.ask("PUT", `${path}/${name}/approval`, { ...body, status: { conditions } }, as);
}

test("approves and signs the client certificate of a joining kubelet", async () => {
  await bind("system:node-bootstrapper", "system:bootstrappers");
  await bind(`${prefix}nodeclient`, "system:bootstrappers");
  const { status, json } = await make("joins");
  expect([status, json.spec.username, json.spec.groups]).toEqual([
    201,
    "system:bootstrap:abcdef",
    ["system:bootstrappers", "system:authenticated"],
  ]);
  const certificate = await issued("joins");
  expect(certificate.subject).toBe("O=system:nodes\nCN=system:node:a");
  expect(certificate.verify(new X509Certificate(authority.cert).publicKey)).toBe(true);
  expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
  expect([certificate.ca, certificate.subjectAltName]).toEqual([false, undefined]);
  const minutes = (time: Date) => (time.getTime() - start) / 60_000;
  // Issued within the first second of the cluster's time; five minutes before now, and a year less five minutes after.
  expect([certificate.validFromDate, certificate.validToDate].map(minutes).map(Math.round)).toEqual([
    -5,
    365 * 24 * 60 - 5,
  ]);
  const [condition] = (await get("joins"))?.status?.conditions ?? [];
  expect(condition).toMatchObject({
    type: "Approved",
    status: "True",
    reason: "AutoApproved",
    message: "Auto approving kubelet client certificate after SubjectAccessReview.",
  });
});

test("waits with the approval until the creator has the right", async () => {
  await bind("system:node-bootstrapper", "system:bootstrappers");
  await make("early");
  await cluster.pass(60_000);
  expect(typesOf(await get("early"))).toEqual([]);
  await bind(`${prefix}nodeclient`, "system:bootstrappers");
  await cluster.until(async () => typesOf(await get("early")).includes("Approved"), 1000);
});

test("approves a node's own renewal, and not one for another node", async () => {
  await bind(`${prefix}selfnodeclient`, "system:nodes");
  const as = (name: string) => ({ "impersonate-user": `system:node:${name}`, "impersonate-group": "system:nodes" });
  await make("own", { as: as("a") });
  await make("others", { as: as("b") });
  await issued("own");
  await cluster.pass(60_000);
  expect(typesOf(await get("others"))).toEqual([]);
});

test("does not approve other client certificates, and signs them for the requested time once approved", async () => {
  const signerName = "kubernetes.io/kube-apiserver-client";
  await make("jane", {
    subject: { commonName: "jane" },
    signerName,
    usages: ["client auth"],
    expirationSeconds: 3600,
    as: {},
  });
  await cluster.pass(60_000);
  expect(typesOf(await get("jane"))).toEqual([]);
  expect((await approve("jane")).status).toBe(200);
  const certificate = await issued("jane");
  expect(certificate.subject).toBe("CN=jane");
  expect(certificate.validToDate.getTime() - certificate.validFromDate.getTime()).toBe(hour + 5 * 60_000);
});

test("fails a request that its signer does not allow", async () => {
  const signerName = "kubernetes.io/kubelet-serving";
  await make("bare", { signerName, usages: ["digital signature", "server auth"], as: {} });
  await make("named", { signerName, usages: ["digital signature", "server auth"], names: ["a", "10.0.0.1"], as: {} });
  await approve("bare");
  await approve("named");
  expect((await issued("named")).subjectAltName).toBe("DNS:a, IP Address:10.0.0.1");
  const failed = await cluster.until(async () => {
    const request = await get("bare");
    return typesOf(request).includes("Failed") && request;
  });
  expect(failed.status?.conditions?.[1]).toMatchObject({
    type: "Failed",
    status: "True",
    reason: "SignerValidationFailure",
    message: "DNS or IP subjectAltName is required",
  });
});

test("fails an approved request by the signer's name in a cluster without an authority", async () => {
  await cluster.close();
  cluster = await openCluster({ clock: handClock(start) });
  const signerName = "kubernetes.io/kube-apiserver-client";
  await make("a", { signerName, usages: ["client auth"], as: {} });
  await make("other", { signerName: "example.com/signer", usages: ["client auth"], as: {} });
  await approve("a");
  await approve("other");
  const failed = await cluster.until(async () => {
    const request = await get("a");
    return typesOf(request).includes("Failed") && request;
  });
  expect(failed.status?.conditions?.[1]).toMatchObject({
    reason: "SignerNotAvailable",
    message: `the signer ${signerName} issues no certificates in this cluster: it has no certificate authority`,
  });
  await cluster.quiet();
  expect(typesOf(await get("other"))).toEqual(["Approved"]);
});

test("deletes requests: pending ones after a day, issued ones after an hour", async () => {
  await bind("system:node-bootstrapper", "system:bootstrappers");
  await make("pending");
  await make("issued", { signerName: "kubernetes.io/kube-apiserver-client", usages: ["client auth"], as: {} });
  await approve("issued");
  await issued("issued");
  await cluster.pass(hour - 60_000);
  expect([await get("issued"), await get("pending")].map((request) => request !== undefined)).toEqual([true, true]);
  await cluster.pass(2 * 60_000);
  expect([await get("issued"), await get("pending")].map((request) => request !== undefined)).toEqual([false, true]);
  await cluster.pass(23 * hour);
  expect(await get("pending")).toBeUndefined();
});
