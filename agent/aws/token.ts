import { hostOf, signatureV4 } from "#aws";
import { credentialsOf, type SignerOptions } from "#aws/request-signer";
import type { Clock } from "#base";

export interface TokenOptions extends SignerOptions {
  /** The cluster that accepts the tokens; no other does. */
  clusterId: string;
  clock: Clock;
}

const clusterHeader = "x-k8s-aws-id";
/** The value of `aws eks get-token`, in seconds; STS only checks the date, which it accepts for fifteen minutes. */
const expiresIn = 60;

/**
 * Creates bearer tokens that prove an AWS principal, in the form of `aws eks get-token`: a presigned GetCallerIdentity
 * of STS, which the verifier of the token sends. Rejects when the machine has no credentials.
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
