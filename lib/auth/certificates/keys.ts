import type { webcrypto } from "node:crypto";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

/** A certificate and its private key, in PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

export interface Subject {
  commonName: string;
  organizations?: readonly string[];
}

/** The algorithm of all keys that are made here. */
export const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A distinguished name; the library escapes the special characters of RFC 4514. */
export const nameOf = ({ commonName, organizations = [] }: Subject): x509.JsonName => [
  ...organizations.map((organization) => ({ O: [organization] })),
  { CN: [commonName] },
];

export const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<webcrypto.CryptoKeyPair>;

export async function keyPem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const der = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return x509.PemConverter.encode(der, "PRIVATE KEY");
}

/** The private key of a certificate that was made here. */
export function signingKeyOf({ key }: Certificate): Promise<webcrypto.CryptoKey> {
  const der = x509.PemConverter.decode(key)[0]!;
  return crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
}

/** A random serial number in hexadecimal. */
export const serial = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex");

const isAddress = (name: string): boolean => /^[\d.]+$/.test(name) || name.includes(":");

/** DNS names and addresses as the extension subjectAltName. */
export const alternativeNames = (names: readonly string[]): x509.SubjectAlternativeNameExtension =>
  new x509.SubjectAlternativeNameExtension(
    names.map((name) => ({ type: isAddress(name) ? "ip" : "dns", value: name })),
  );
