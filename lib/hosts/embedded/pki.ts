import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Certificate } from "#auth/certificates";
import { systemClock } from "#base";
import type { CertificateRequest } from "#x509";

/** Certificates and keys of a cluster, in a folder; created if they are missing, renewed before they expire. */
export interface Pki {
  ca: string;
  /** The server's certificate for these names and addresses. */
  server(names: readonly string[]): Promise<Certificate>;
  /** A client's certificate, stored under a file name. */
  client(file: string, subject: { commonName: string; organizations: readonly string[] }): Promise<Certificate>;
  /** Issues the certificate of a request, in PEM; the validity is in seconds. */
  sign(request: CertificateRequest, issued: { usages: readonly string[]; seconds: number }): Promise<string>;
}

const day = 24 * 3600 * 1000;
const lifetimeDays = 365;
/** Certificates that expire within this many days are issued again at the next start. */
const renewDays = 60;

function read(folder: string, name: string): Certificate | undefined {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  if (!existsSync(cert) || !existsSync(key)) return undefined;
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}

/** The key first, each by rename: a crash between leaves no certificate without its key. */
function keep(folder: string, name: string, { cert, key }: Certificate): void {
  for (const [file, text] of [
    [`${name}.key`, key],
    [`${name}.crt`, cert],
  ] as const) {
    const path = join(folder, file);
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

function isGood(pem: string, authority: string, names: readonly string[]): boolean {
  const cert = new X509Certificate(pem);
  if (cert.validToDate.getTime() - systemClock.now() < renewDays * day) return false;
  if (!cert.verify(new X509Certificate(authority).publicKey)) return false;
  return names.every((name) => (/^[\d.]+$|:/.test(name) ? cert.checkIP(name) : cert.checkHost(name)) !== undefined);
}

export async function openPki(folder: string): Promise<Pki> {
  const now = systemClock.now();
  // The library is loaded only when something is issued: most starts find all certificates.
  const issuing = () => import("#auth/certificates");
  let authority = read(folder, "ca");
  if (!authority) {
    authority = await (await issuing()).createAuthority(now);
    keep(folder, "ca", authority);
  }
  const ca = authority;
  return {
    ca: ca.cert,
    async server(names) {
      const known = read(folder, "apiserver");
      if (known && isGood(known.cert, ca.cert, names)) return known;
      const made = await (await issuing()).issue({
        authority: ca,
        subject: { commonName: "kube-apiserver" },
        names,
        days: lifetimeDays,
        now,
      });
      keep(folder, "apiserver", made);
      return made;
    },
    async client(file, subject) {
      const known = read(folder, file);
      if (known && isGood(known.cert, ca.cert, [])) return known;
      const made = await (await issuing()).issue({ authority: ca, subject, days: lifetimeDays, now });
      keep(folder, file, made);
      return made;
    },
    sign: async (request, issued) =>
      (await issuing()).signRequest({ authority: ca, request, ...issued, now: systemClock.now() }),
  };
}
