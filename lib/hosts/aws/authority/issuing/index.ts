/** What creates the cluster's authority and issues certificates by it: for processes that hold its key. */
import { type Secret, secrets } from "#api";
import { createAuthority, issue, signRequest } from "#auth/certificates";
import { type Clock, isReason } from "#base";
import type { Client } from "#client";
import { type Authority, authoritySecret, readAuthority } from "#hosts/aws/authority";
import type { CertificateRequest } from "#x509";

const encode = (text: string): string => Buffer.from(text).toString("base64");
const days = 90;

/** The authority. The first process that needs it creates it; of two at once, one uses the other's. */
export async function openAuthority(client: Client, clock: Clock): Promise<Authority> {
  const existing = await readAuthority(client);
  if (existing) return existing;
  const created = await createAuthority(clock.now());
  const data = { "tls.crt": encode(created.cert), "tls.key": encode(created.key) };
  const secret: Secret = { metadata: { ...authoritySecret }, type: "kubernetes.io/tls", data };
  try {
    await client.create(secrets, secret);
    return created;
  } catch (error) {
    const others = isReason(error, "AlreadyExists") ? await readAuthority(client) : undefined;
    if (!others) throw error;
    return others;
  }
}

/** A certificate for a server with these names and addresses, valid for 90 days. Its key is not stored. */
export const issueServer = (authority: Authority, names: readonly string[], clock: Clock): Promise<Authority> =>
  issue({
    authority,
    subject: { commonName: "kube-apiserver" },
    names: [...new Set([...names, "localhost", "127.0.0.1"])],
    days,
    now: clock.now(),
  });

/** The certificate of a request by the authority, in PEM; the validity is in seconds. */
export async function signByAuthority(
  client: Client,
  clock: Clock,
  signed: { request: CertificateRequest; usages: readonly string[]; seconds: number },
): Promise<string> {
  return signRequest({ authority: await openAuthority(client, clock), ...signed, now: clock.now() });
}
