/** Requests to API Gateway, signed with the machine's credentials by the SDK's default chain. */
import { fromNodeProviderChain } from "@aws-sdk/credential-providers";
import { type Credentials, signatureV4 } from "#aws";

/** The signed part of a request. `body` is "" for a request without one. */
export interface Signable {
  method: string;
  url: URL;
  body: string | Uint8Array;
}

/** The headers with the signer and the time. */
export type Signer = (request: Signable) => Promise<Record<string, string>>;

export interface SignerOptions {
  region: string;
  /** Defaults to the SDK's default chain. */
  credentials?: Credentials;
}

/** The credentials to sign with. */
export const credentialsOf = ({ region, credentials }: SignerOptions): Credentials =>
  credentials ?? fromNodeProviderChain({ clientConfig: { region } });

/** Signs requests to API Gateway by Signature Version 4. Rejects when the machine has no credentials. */
export function requestSigner(options: SignerOptions): Signer {
  const { region } = options;
  const signer = signatureV4({ service: "execute-api", region, credentials: credentialsOf(options) });
  return async ({ method, url, body }) => {
    const query: Record<string, string[]> = {};
    for (const [name, value] of url.searchParams) query[name] = [...(query[name] ?? []), value];
    const { headers } = await signer.sign({
      method,
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      query,
      headers: { host: url.host },
      body,
    });
    return headers;
  };
}
