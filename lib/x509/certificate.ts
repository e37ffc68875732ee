import { X509Certificate } from "node:crypto";
import { elementsOf } from "./der.ts";
import { pemBlocks } from "./pem.ts";

/**
 * Why a text is not a chain of certificates in PEM; undefined where it is one (upstream's validateCertificate: at least
 * one block, all of them certificates without headers).
 */
export function chainError(pem: string): string | undefined {
  const blocks = pemBlocks(pem);
  for (const { type, hasHeaders, bytes } of blocks) {
    if (type !== "CERTIFICATE") return `only CERTIFICATE PEM blocks are allowed, found "${type}"`;
    if (hasHeaders) return "no PEM block headers are permitted";
    if (bytes.length === 0) return "found CERTIFICATE PEM block containing 0 certificates";
    if (!certificatesIn(bytes)) return "x509: malformed certificate";
  }
  return blocks.length === 0 ? "must contain at least one CERTIFICATE PEM block" : undefined;
}

/** When the first certificate in a PEM text expires, in milliseconds; undefined where it holds none. */
export function expiryOf(pem: string): number | undefined {
  const [block] = pemBlocks(pem);
  return block && certificatesIn(block.bytes)?.[0]?.validToDate.getTime();
}

function certificatesIn(bytes: Uint8Array): X509Certificate[] | undefined {
  try {
    return elementsOf(bytes).map(({ whole }) => new X509Certificate(whole));
  } catch {
    return undefined;
  }
}
