import { isConditionTrue, nodes, signers } from "#api";
import type { Certificate } from "#auth/certificates";
import { type Clock, ignoreNotFound, isReason } from "#base";
import { type BootstrapToken, formatToken } from "#bootstrap-tokens";
import { type Client, httpClient } from "#client";
import { requestCertificate } from "./request.ts";

export interface EnrollOptions {
  server: string;
  /** The certificate authority of the cluster in PEM. */
  ca: string;
  token: BootstrapToken;
  nodeName: string;
  clock: Clock;
}

/**
 * Obtains a node's client certificate by a bootstrap token: sends a certificate signing request of a new key, and waits
 * until it is signed. Throws an Error with one reason.
 */
export async function enroll({ server, ca, token, nodeName, clock }: EnrollOptions): Promise<Certificate> {
  const client = httpClient({ server, ca, token: formatToken(token), clock });
  try {
    await checkNodeName(client, nodeName);
    return await nodeClient(client, nodeName, clock);
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
    return await nodeClient(client, nodeName, clock);
  } finally {
    client.close();
  }
}

const nodeClient = (client: Client, nodeName: string, clock: Clock): Promise<Certificate> =>
  requestCertificate(client, {
    prefix: "node-csr-",
    nodeName,
    signerName: signers.kubeletClient,
    usages: ["digital signature", "client auth"],
    clock,
  });

/** Two agents of one name would fight over a node: kubeadm refuses the name of a node that is Ready, too. */
async function checkNodeName(client: Client, name: string): Promise<void> {
  const node = await ignoreNotFound(client.get(nodes, { name }));
  if (!node || !isConditionTrue(node.status?.conditions, "Ready")) return;
  throw new Error(`the cluster already has a node ${name} that is Ready: choose another --node-name`);
}
