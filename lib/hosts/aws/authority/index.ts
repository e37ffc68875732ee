/**
 * The authority of a cluster on AWS: it issues the serving certificates of the gateway and of the API inside pods. It
 * authenticates servers only: no client certificate is accepted.
 */
import { rootCertificates } from "node:tls";
import { secrets } from "#api";
import { ignoreNotFound } from "#base";
import type { Client } from "#client";

/** The authority's certificate and its private key, in PEM. */
export interface Authority {
  cert: string;
  key: string;
}

/** The Secret with the authority: in the cluster itself, so that all processes have the same. */
export const authoritySecret = { namespace: "kube-system", name: "skiff-authority" };

const decode = (text = ""): string => Buffer.from(text, "base64").toString();

/** The stored authority; undefined while none is. */
export async function readAuthority(client: Client): Promise<Authority | undefined> {
  const secret = await ignoreNotFound(client.get(secrets, authoritySecret));
  return secret && { cert: decode(secret.data?.["tls.crt"]), key: decode(secret.data?.["tls.key"]) };
}

let amazon: string | undefined;
/** The CA certificates of AWS's endpoints, in PEM. */
const amazonAuthorities = (): string => (amazon ??= rootCertificates.filter(isAmazon).join("\n"));

function isAmazon(pem: string): boolean {
  const text = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64").toString("latin1");
  return text.includes("Amazon") || text.includes("Starfield Services");
}

/**
 * The CA certificates by which clients verify the API, in PEM, as pods get them in kube-root-ca.crt: those of AWS's
 * endpoints, and the cluster's own for the address of the API inside pods.
 */
export const trustedWith = (authority: Pick<Authority, "cert"> | undefined): string =>
  authority ? `${amazonAuthorities()}\n${authority.cert.trimEnd()}\n` : `${amazonAuthorities()}\n`;

/** As `trustedWith`, with the authority that is stored; without it while none is. */
export const trustedAuthorities = async (client: Client): Promise<string> => trustedWith(await readAuthority(client));
