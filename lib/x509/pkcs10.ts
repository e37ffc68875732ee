import { constants, createPublicKey, type KeyObject, verify } from "node:crypto";
import { bitsOf, type Element, elementsOf, membersOf, oidOf, only, tags, textIn } from "./der.ts";
import { pemBlocks } from "./pem.ts";

/** A PKCS #10 certificate request, as RFC 2986 defines it. */
export interface CertificateRequest {
  /** The last common name of the subject; "" for none. */
  commonName: string;
  organizations: readonly string[];
  dnsNames: readonly string[];
  emailAddresses: readonly string[];
  uris: readonly string[];
  /** Textual addresses. */
  ipAddresses: readonly string[];
  /** The subject's DER. */
  subject: Uint8Array;
  /** DER of the public key (SubjectPublicKeyInfo). */
  publicKey: Uint8Array;
  /** DER of the extension subjectAltName's value, where the request has it. */
  subjectAltName: Uint8Array | undefined;
}

/** A parsed request with what its signature covers. */
interface SignedRequest extends CertificateRequest {
  signed: Uint8Array;
  algorithm: Element;
  signature: Uint8Array;
}

const subjectAltNameOid = "2.5.29.17";
const commonNameOid = "2.5.4.3";
const organizationOid = "2.5.4.10";
const ecOid = "1.2.840.10045.2.1";
/** P-224, P-256, P-384 and P-521. */
const curves: readonly string[] = ["1.3.132.0.33", "1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];
const extensionRequestOid = "1.2.840.113549.1.9.14";

/** Parses the first PEM block. Throws an Error in upstream's words (ParseCSR) where it is no certificate request. */
export function parseRequest(pem: string): CertificateRequest {
  return parse(pem);
}

/** Throws an Error where a request is malformed, or is not signed by the key that it names (upstream's validateCSR). */
export function checkRequest(pem: string): void {
  checkSignature(parse(pem));
}

function parse(pem: string): SignedRequest {
  const [block] = pemBlocks(pem);
  if (block?.type !== "CERTIFICATE REQUEST") throw new Error("PEM block type must be CERTIFICATE REQUEST");
  const [info, algorithm, signature] = elementsOf(only(block.bytes, tags.sequence).content);
  const [version, subject, publicKey, ...attributes] = membersOf(info, tags.sequence);
  if (version?.tag !== tags.integer || algorithm?.tag !== tags.sequence || publicKey?.tag !== tags.sequence) {
    throw new Error("asn1: structure error: tags don't match");
  }
  checkKey(publicKey);
  return {
    ...namesOf(subject),
    ...alternativeNames(extensionValue(attributes, subjectAltNameOid)),
    subject: subject!.whole,
    publicKey: publicKey.whole,
    signed: info!.whole,
    algorithm,
    signature: bitsOf(signature),
  };
}

/** Throws an Error for an elliptic curve that Go does not know; keys of other types are checked with the signature. */
function checkKey(publicKey: Element): void {
  const [type, curve] = membersOf(membersOf(publicKey, tags.sequence)[0], tags.sequence);
  if (oidOf(type) === ecOid && !curves.includes(oidOf(curve))) throw new Error("x509: unsupported elliptic curve");
}

function namesOf(subject: Element | undefined): Pick<CertificateRequest, "commonName" | "organizations"> {
  let commonName = "";
  const organizations: string[] = [];
  for (const set of membersOf(subject, tags.sequence)) {
    for (const pair of membersOf(set, tags.set)) {
      const [type, value] = membersOf(pair, tags.sequence);
      const text = value && textIn(value);
      if (text === undefined) continue;
      if (oidOf(type) === commonNameOid) commonName = text;
      else if (oidOf(type) === organizationOid) organizations.push(text);
    }
  }
  return { commonName, organizations };
}

/** The value of an extension that the request's attributes ask for. */
function extensionValue(attributes: readonly Element[], oid: string): Uint8Array | undefined {
  for (const attribute of attributes.flatMap(({ tag, content }) => (tag === 0xa0 ? elementsOf(content) : []))) {
    const [type, values] = membersOf(attribute, tags.sequence);
    if (oidOf(type) !== extensionRequestOid) continue;
    for (const extension of membersOf(membersOf(values, tags.set)[0], tags.sequence)) {
      const members = membersOf(extension, tags.sequence);
      const value = members.at(-1);
      if (oidOf(members[0]) === oid && value?.tag === tags.octetString) return value.content;
    }
  }
  return undefined;
}

type AlternativeNames = Pick<
  CertificateRequest,
  "dnsNames" | "emailAddresses" | "uris" | "ipAddresses" | "subjectAltName"
>;

function alternativeNames(value: Uint8Array | undefined): AlternativeNames {
  const names = value ? elementsOf(only(value, tags.sequence).content) : [];
  const latin = new TextDecoder("latin1");
  const texts = (tag: number) => names.filter((name) => name.tag === tag).map(({ content }) => latin.decode(content));
  return {
    emailAddresses: texts(0x81),
    dnsNames: texts(0x82),
    uris: texts(0x86),
    ipAddresses: names.filter(({ tag }) => tag === 0x87).map(({ content }) => addressOf(content)),
    subjectAltName: value,
  };
}

function addressOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) throw new Error(`x509: cannot parse IP address of length ${bytes.length}`);
  const groups = Array.from({ length: 8 }, (_, at) => (bytes[2 * at]! * 256 + bytes[2 * at + 1]!).toString(16));
  return groups.join(":");
}

/** Signature algorithms by their identifiers: the key's type, and the hash where the key's type does not fix it. */
const algorithms: Readonly<Record<string, { key: "RSA" | "ECDSA" | "Ed25519"; hash: string | null }>> = {
  "1.2.840.113549.1.1.5": { key: "RSA", hash: "sha1" },
  "1.2.840.113549.1.1.11": { key: "RSA", hash: "sha256" },
  "1.2.840.113549.1.1.12": { key: "RSA", hash: "sha384" },
  "1.2.840.113549.1.1.13": { key: "RSA", hash: "sha512" },
  "1.2.840.10045.4.1": { key: "ECDSA", hash: "sha1" },
  "1.2.840.10045.4.3.2": { key: "ECDSA", hash: "sha256" },
  "1.2.840.10045.4.3.3": { key: "ECDSA", hash: "sha384" },
  "1.2.840.10045.4.3.4": { key: "ECDSA", hash: "sha512" },
  "1.3.101.112": { key: "Ed25519", hash: null },
};

const pssOid = "1.2.840.113549.1.1.10";
const mgf1Oid = "1.2.840.113549.1.1.8";
const pssHashes: Readonly<Record<string, { hash: string; saltLength: number }>> = {
  "2.16.840.1.101.3.4.2.1": { hash: "sha256", saltLength: 32 },
  "2.16.840.1.101.3.4.2.2": { hash: "sha384", saltLength: 48 },
  "2.16.840.1.101.3.4.2.3": { hash: "sha512", saltLength: 64 },
};

const keyTypes: Readonly<Record<string, string>> = { rsa: "RSA", ec: "ECDSA", ed25519: "Ed25519" };
const failures: Readonly<Record<string, string>> = {
  RSA: "crypto/rsa: verification error",
  ECDSA: "x509: ECDSA verification failure",
  Ed25519: "x509: Ed25519 verification failure",
};

/** Go's CertificateRequest.CheckSignature, which accepts SHA-1. */
function checkSignature({ publicKey, algorithm, signed, signature }: SignedRequest): void {
  const [identifier, parameters] = membersOf(algorithm, tags.sequence);
  const oid = oidOf(identifier);
  const pss = oid === pssOid ? pssOf(parameters) : undefined;
  const known = pss ? { key: "RSA" as const, hash: pss.hash } : algorithms[oid];
  const key = keyOf(publicKey);
  const type = keyTypes[key?.asymmetricKeyType ?? ""];
  if (!known || !key || type === undefined) {
    throw new Error("x509: cannot verify signature: algorithm unimplemented");
  }
  if (type !== known.key) {
    throw new Error(
      `x509: signature algorithm specifies an ${known.key} public key, but have public key of another type`,
    );
  }
  const padding = pss ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: pss.saltLength } : {};
  if (!verify(known.hash, signed, { key, ...padding }, signature)) throw new Error(failures[type]);
}

function keyOf(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}

/** The hash of RSASSA-PSS parameters; Go knows those with a salt of the hash's length, and the same hash in MGF1. */
function pssOf(parameters: Element | undefined): { hash: string; saltLength: number } | undefined {
  const [hash, mask, salt] = [0xa0, 0xa1, 0xa2].map((tag) => {
    const member = membersOf(parameters, tags.sequence).find((one) => one.tag === tag);
    return member && elementsOf(member.content)[0];
  });
  const oid = oidOf(membersOf(hash, tags.sequence)[0]);
  const [generator, inner] = membersOf(mask, tags.sequence);
  if (oidOf(generator) !== mgf1Oid || oidOf(membersOf(inner, tags.sequence)[0]) !== oid) return undefined;
  const known = pssHashes[oid];
  return salt?.content.length === 1 && salt.content[0] === known?.saltLength ? known : undefined;
}
