import { createPrivateKey, X509Certificate } from "node:crypto";
import { type CertificateSigningRequest, certificateSigningRequests, isConditionTrue, nodes, signers } from "#api";
import { type Certificate, createRequest } from "#auth/certificates";
import { type Clock, ignoreNotFound, isReason, sleep } from "#base";
import { type BootstrapToken, formatToken } from "#bootstrap-tokens";
import { type Client, httpClient } from "#client";

export interface EnrollOptions {
  server: string;
  /** The certificate authority of the cluster in PEM. */
  ca: string;
  token: BootstrapToken;
  nodeName: string;
  clock: Clock;
}

const timeout = 60_000;
const pause = 500;

/**
 * Obtains a node's client certificate by a bootstrap token: sends a certificate signing request of a new key, and waits
 * until it is signed. Throws an Error with one reason.
 */
export async function enroll({ server, ca, token, nodeName, clock }: EnrollOptions): Promise<Certificate> {
  const client = httpClient({ server, ca, token: formatToken(token), clock });
  try {
    await checkNodeName(client, nodeName);
    return await requestCertificate(client, nodeName, clock);
  } catch (error) {
    if (isReason(error, "Unauthorized")) {
      throw new Error(`the token ${token.id} is not valid or has expired: create one with skiff token create`);
    }
    if (isReason(error, "Forbidden")) throw new Error(`the token ${token.id} is not one by which nodes join`);
    throw error;
  } finally {
    client.close();
  }
}

export interface RenewOptions extends Omit<EnrollOptions, "token"> {
  /** The node's certificate, which is still valid. */
  certificate: Certificate;
}

/** Obtains a new certificate of a new key by the node's current one. */
export async function renew({ server, ca, certificate, nodeName, clock }: RenewOptions): Promise<Certificate> {
  const client = httpClient({ server, ca, certificate, clock });
  try {
    return await requestCertificate(client, nodeName, clock);
  } finally {
    client.close();
  }
}

/** When a certificate is to be renewed, in milliseconds: after four fifths of its validity. */
export function renewalOf({ cert }: Certificate): number {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  const from = validFromDate.getTime();
  return from + 0.8 * (validToDate.getTime() - from);
}

async function requestCertificate(client: Client, nodeName: string, clock: Clock): Promise<Certificate> {
  const subject = { commonName: `system:node:${nodeName}`, organizations: ["system:nodes"] };
  const { key, request } = await createRequest(subject);
  const { metadata } = await client.create(certificateSigningRequests, {
    metadata: { generateName: "node-csr-" },
    spec: { request: btoa(request), signerName: signers.kubeletClient, usages: ["digital signature", "client auth"] },
  } as CertificateSigningRequest);
  const cert = await issuedCertificate(client, metadata.name ?? "", clock);
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    throw new Error("the cluster has issued a certificate of another key");
  }
  return { cert, key };
}

/** Two agents of one name would fight over a node: kubeadm refuses the name of a node that is Ready, too. */
async function checkNodeName(client: Client, name: string): Promise<void> {
  const node = await ignoreNotFound(client.get(nodes, { name }));
  if (!node || !isConditionTrue(node.status?.conditions, "Ready")) return;
  throw new Error(`the cluster already has a node ${name} that is Ready: choose another --node-name`);
}

async function issuedCertificate(client: Client, name: string, clock: Clock): Promise<string> {
  const deadline = clock.now() + timeout;
  for (;;) {
    const { status = {} } = await client.get(certificateSigningRequests, { name });
    if (status.certificate) return atob(status.certificate);
    const refused = status.conditions?.find(({ type }) => type === "Denied" || type === "Failed");
    if (refused)
      throw new Error(`the certificate signing request ${name} is ${refused.type}: ${refused.message ?? ""}`);
    if (clock.now() >= deadline) {
      const state = status.conditions?.some(({ type }) => type === "Approved") ? "signed" : "approved";
      throw new Error(`the certificate signing request ${name} has not been ${state} within a minute`);
    }
    await sleep(clock, pause);
  }
}
