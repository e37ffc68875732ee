/** Certificates: the cluster's own authority, and those that it issues to servers, users and agents. */
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

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const day = 24 * 3600 * 1000;
const authorityDays = 3650;

/** A distinguished name; the library escapes the special characters of RFC 4514. */
const nameOf = ({ commonName, organizations = [] }: Subject): x509.JsonName => [
  ...organizations.map((organization) => ({ O: [organization] })),
  { CN: [commonName] },
];

async function keyPem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const der = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return x509.PemConverter.encode(der, "PRIVATE KEY");
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<webcrypto.CryptoKeyPair>;
const serial = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex");

/** Creates a certificate authority that is valid for ten years from `now` (milliseconds). */
export async function createAuthority(now: number): Promise<Certificate> {
  const keys = await newKeys();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: nameOf({ commonName: "skiff" }),
    notBefore: new Date(now - day),
    notAfter: new Date(now + authorityDays * day),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: cert.toString("pem"), key: await keyPem(keys) };
}

export interface IssueOptions {
  authority: Certificate;
  subject: Subject;
  /** DNS names and addresses of a server; a certificate without any is for a client. */
  names?: readonly string[];
  days: number;
  /** Milliseconds. */
  now: number;
}

/** Issues a certificate: for a server when it has names, for a client otherwise. */
export async function issue({ authority, subject, names, days, now }: IssueOptions): Promise<Certificate> {
  const ca = new x509.X509Certificate(authority.cert);
  const der = x509.PemConverter.decode(authority.key)[0]!;
  const signingKey = await crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  const keys = await newKeys();
  const usage = names ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
  const isAddress = (name: string) => /^[\d.]+$/.test(name) || name.includes(":");
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: nameOf(subject),
    issuer: ca.subject,
    notBefore: new Date(now - day),
    notAfter: new Date(Math.min(now + days * day, ca.notAfter.getTime())),
    signingKey,
    publicKey: keys.publicKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      await x509.AuthorityKeyIdentifierExtension.create(ca),
      ...(names
        ? [
            new x509.SubjectAlternativeNameExtension(
              names.map((name) => ({ type: isAddress(name) ? "ip" : "dns", value: name })),
            ),
          ]
        : []),
    ],
  });
  return { cert: cert.toString("pem"), key: await keyPem(keys) };
}
