import { createPrivateKey, X509Certificate } from "node:crypto";
import { type CertificateSigningRequest, certificateSigningRequests } from "#api";
import { type Certificate, createRequest } from "#auth/certificates";
import { abortable, type Clock, sleep } from "#base";
import type { Client } from "#client";

export interface CertificateWanted {
  /** Of the name of the certificate signing request. */
  prefix: string;
  /** The subject is this node. */
  nodeName: string;
  signerName: string;
  usages: readonly string[];
  /** DNS names and addresses of a server. */
  names?: readonly string[];
  /** The requested validity. Defaults to the signer's. */
  seconds?: number;
  clock: Clock;
  /** Milliseconds between reads of the request, and after how many the wait ends. */
  wait?: { first: number; longest: number; total: number };
  /** Ends the wait. */
  signal?: AbortSignal;
}

const usualWait = { first: 500, longest: 500, total: 60_000 };

/**
 * Obtains a certificate of a new key: sends a certificate signing request, and waits until it is signed. The key is not
 * sent. Throws an Error with one reason.
 */
export async function requestCertificate(client: Client, wanted: CertificateWanted): Promise<Certificate> {
  const { prefix, nodeName, signerName, usages, names, seconds } = wanted;
  const subject = { commonName: `system:node:${nodeName}`, organizations: ["system:nodes"] };
  const { key, request } = await createRequest(subject, names);
  const spec = { request: btoa(request), signerName, usages, ...(seconds ? { expirationSeconds: seconds } : {}) };
  const { metadata } = await client.create(certificateSigningRequests, {
    metadata: { generateName: prefix },
    spec,
  } as CertificateSigningRequest);
  const cert = await issuedCertificate(client, metadata.name ?? "", wanted);
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    throw new Error("the cluster has issued a certificate of another key");
  }
  return { cert, key };
}

/** When a certificate is to be renewed, in milliseconds: after this part of its validity. */
export function renewalOf({ cert }: Certificate, part = 0.8): number {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  const from = validFromDate.getTime();
  return from + part * (validToDate.getTime() - from);
}

async function issuedCertificate(
  client: Client,
  name: string,
  { clock, wait = usualWait, signal = new AbortController().signal }: CertificateWanted,
): Promise<string> {
  const deadline = clock.now() + wait.total;
  for (let pause = wait.first; ; pause = Math.min(2 * pause, wait.longest)) {
    const { status = {} } = await abortable(client.get(certificateSigningRequests, { name }), signal);
    if (status.certificate) return atob(status.certificate);
    const refused = status.conditions?.find(({ type }) => type === "Denied" || type === "Failed");
    if (refused)
      throw new Error(`the certificate signing request ${name} is ${refused.type}: ${refused.message ?? ""}`);
    if (clock.now() >= deadline) {
      const state = status.conditions?.some(({ type }) => type === "Approved") ? "signed" : "approved";
      throw new Error(`the certificate signing request ${name} has not been ${state} within ${minutes(wait.total)}`);
    }
    await sleep(clock, pause, signal);
  }
}

function minutes(milliseconds: number): string {
  const count = milliseconds / 60_000;
  return count === 1 ? "a minute" : `${count} minutes`;
}
