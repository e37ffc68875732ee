import { hostOf, signatureV4 } from "#aws";
import { credentialsOf, type SignerOptions } from "#aws/request-signer";
import type { Clock } from "#base";

export interface TokenOptions extends SignerOptions {
  /** What the tokens are good for: this cluster and no other. */
  clusterId: string;
  clock: Clock;
}

const clusterHeader = "x-k8s-aws-id";
/** What `aws eks get-token` writes; STS goes by the date alone, which it takes for fifteen minutes. */
const expiresIn = 60;

/**
 * Makes bearer tokens that say which principal of AWS this is, of the form that `aws eks get-token` gives: a presigned
 * GetCallerIdentity of STS, which is asked by whoever is shown the token. Rejects when the machine has no credentials.
 */
export function tokenMaker({ clusterId, clock, ...signing }: TokenOptions): () => Promise<string> {
  const { region } = signing;
  const signer = signatureV4({ service: "sts", region, credentials: credentialsOf(signing) });
  const hostname = hostOf("sts", region);
  const request = {
    method: "GET",
    protocol: "https:",
    hostname,
    path: "/",
    query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
    headers: { host: hostname, [clusterHeader]: clusterId },
  };
  return async () => {
    const { query = {} } = await signer.presign(request, { expiresIn, signingDate: new Date(clock.now()) });
    const url = new URL(`https://${hostname}/`);
    for (const [name, value] of Object.entries(query)) url.searchParams.append(name, String(value));
    return `k8s-aws-v1.${Buffer.from(url.href).toString("base64url")}`;
  };
}
