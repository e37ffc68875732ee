import { createHash, createHmac, timingSafeEqual, X509Certificate } from "node:crypto";
import type { BootstrapToken } from "./token.ts";

/** The ConfigMap from which a machine that joins learns the server's address and authority. */
export const clusterInfo = { namespace: "kube-public", name: "cluster-info" } as const;
/** Its key with a kubeconfig without a user, and the prefix of those with the signatures, by the tokens' ids. */
export const kubeconfigKey = "kubeconfig";
export const signaturePrefix = "jws-kubeconfig-";
/** The extension of the kubeconfig's cluster with the blocks of addresses, `podCidr` and `serviceCidr`. */
export const networkExtension = "skiff.dev/network";

/**
 * A JWS over the content by the token's secret, without the content (RFC 7515, appendix F; cluster-bootstrap's
 * ComputeDetachedSignature).
 */
export function signatureOf(content: string, { id, secret }: BootstrapToken): string {
  const base64 = (text: string) => Buffer.from(text).toString("base64url");
  const header = base64(JSON.stringify({ alg: "HS256", kid: id }));
  const mac = createHmac("sha256", secret)
    .update(`${header}.${base64(content)}`)
    .digest("base64url");
  return `${header}..${mac}`;
}

/** Whether a signature is the token's over this content. */
export const isSignature = (signature: string, content: string, token: BootstrapToken): boolean =>
  isSame(signature, signatureOf(content, token));

/** Compares secrets in a time that does not depend on where they differ. */
export function isSame(left: string, right: string): boolean {
  const [a, b] = [left, right].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(a!, b!);
}

/** A pin of a certificate's public key, `sha256:` and hexadecimal digits, as kubeadm prints and reads it. */
export function keyHashOf(pem: string): string {
  const spki = new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" });
  return `sha256:${createHash("sha256").update(spki).digest("hex")}`;
}
