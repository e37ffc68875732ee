import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import {
  algorithm,
  alternativeNames,
  type Certificate,
  keyPem,
  nameOf,
  newKeys,
  type Subject,
  serial,
  signingKeyOf,
} from "./keys.ts";

const day = 24 * 3600 * 1000;
const authorityDays = 3650;

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
  const signingKey = await signingKeyOf(authority);
  const keys = await newKeys();
  const usage = names ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
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
      ...(names ? [alternativeNames(names)] : []),
    ],
  });
  return { cert: cert.toString("pem"), key: await keyPem(keys) };
}
