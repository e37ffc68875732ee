import { exportJWK } from "jose";
import { algorithm, type PublicKey } from "./keys.ts";

/** The paths of OIDC discovery below the issuer. */
export const discoveryPaths = {
  configuration: "/.well-known/openid-configuration",
  keys: "/openid/v1/jwks",
} as const;

/** Seconds for which clients may cache the documents; a key is published for longer before it signs. */
const cacheSeconds = 3600;

export interface DiscoveryDocument {
  path: string;
  headers: { "content-type": string; "cache-control": string };
  body: string;
}

/** The documents of OIDC discovery, as upstream (pkg/serviceaccount/openidmetadata.go). */
export async function discoveryDocuments(issuer: string, keys: readonly PublicKey[]): Promise<DiscoveryDocument[]> {
  const shown = keys.map(async ({ kid, publicKey }) => {
    const { kty, n, e } = await exportJWK(publicKey);
    return { use: "sig", kty, kid, alg: algorithm, n, e };
  });
  const configuration = {
    issuer,
    jwks_uri: `${issuer}${discoveryPaths.keys}`,
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: [algorithm],
  };
  const document = (path: string, type: string, value: unknown): DiscoveryDocument => ({
    path,
    headers: { "content-type": type, "cache-control": `public, max-age=${cacheSeconds}` },
    body: JSON.stringify(value),
  });
  return [
    document(discoveryPaths.configuration, "application/json", configuration),
    document(discoveryPaths.keys, "application/jwk-set+json", { keys: await Promise.all(shown) }),
  ];
}
