import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { algorithm, alternativeNames, keyPem, nameOf, newKeys, type Subject } from "./keys.ts";

/**
 * A new private key and a PKCS #10 request for a certificate of it, in PEM. `names` are the DNS names and addresses of a
 * server.
 */
export async function createRequest(
  subject: Subject,
  names: readonly string[] = [],
): Promise<{ key: string; request: string }> {
  const keys = await newKeys();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: nameOf(subject),
    keys,
    signingAlgorithm: algorithm,
    extensions: names.length === 0 ? [] : [alternativeNames(names)],
  });
  return { key: await keyPem(keys), request: `${request.toString("pem")}\n` };
}
