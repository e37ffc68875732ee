import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { CertificateRequest } from "#x509";
import { algorithm, type Certificate, serial, signingKeyOf } from "./keys.ts";
import { extendedUsages, usageFlags } from "./usages.ts";

export interface SignOptions {
  authority: Certificate;
  request: CertificateRequest;
  /** Key usages as certificates.k8s.io names them; unknown ones are an Error. */
  usages: readonly string[];
  /** The validity in seconds. */
  seconds: number;
  /** Milliseconds. */
  now: number;
}

const minute = 60_000;
/** Certificates are valid from a while ago, for machines whose clocks are behind. */
const backdate = 5 * minute;
/** Shorter validities are not reduced by the time before now. */
const short = 8 * 60 * minute;

/**
 * Issues the certificate of a request, in PEM: its subject, its alternative names and the usages, and none of its other
 * extensions. It expires no later than the authority. Follows upstream's PermissiveSigningPolicy.
 */
export async function signRequest({ authority, request, usages, seconds, now }: SignOptions): Promise<string> {
  const ca = new x509.X509Certificate(authority.cert);
  const end = ca.notAfter.getTime();
  if (now >= end) throw new Error(`the certificate authority has expired: ${ca.notAfter.toISOString()}`);
  const validity = seconds * 1000;
  const notAfter = now + (validity < short ? validity : validity - backdate);
  const flags = usageFlags(usages);
  const purposes = extendedUsages(usages);
  const names = alternativeNames(request);
  const isUnnamed = request.commonName === "" && request.organizations.length === 0;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: new x509.Name(new Uint8Array(request.subject)),
    issuer: ca.subjectName,
    notBefore: new Date(now - backdate),
    notAfter: new Date(Math.min(notAfter, end)),
    signingKey: await signingKeyOf(authority),
    publicKey: new Uint8Array(request.publicKey),
    signingAlgorithm: algorithm,
    extensions: [
      ...(flags === 0 ? [] : [new x509.KeyUsagesExtension(flags, true)]),
      ...(purposes.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension(purposes)]),
      new x509.BasicConstraintsExtension(false, undefined, true),
      await x509.AuthorityKeyIdentifierExtension.create(ca),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names, isUnnamed)]),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

function alternativeNames({ dnsNames, emailAddresses, ipAddresses, uris }: CertificateRequest): x509.JsonGeneralNames {
  const named = (type: x509.GeneralNameType, values: readonly string[]) => values.map((value) => ({ type, value }));
  return [
    ...named("dns", dnsNames),
    ...named("email", emailAddresses),
    ...named("ip", ipAddresses),
    ...named("url", uris),
  ];
}
