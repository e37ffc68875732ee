import { CompactSign, compactVerify, decodeProtectedHeader } from "jose";
import type { TokenAuthority } from "#auth";
import { type Clock, messageOf, type Random } from "#base";
import type { Client } from "#client";
import { boundTo } from "./bound.ts";
import { claimsOf, hasClaims, userOf } from "./claims.ts";
import { discoveryDocuments, discoveryPaths } from "./discovery.ts";
import { algorithm, type SigningKeys } from "./keys.ts";
import { legacyClaimsOf, legacyIssuer, reviewLegacy } from "./legacy.ts";
import { whyNot } from "./validate.ts";

export interface TokenOptions {
  keys: SigningKeys;
  /** An https address without a slash at its end. Tokens for the API server are for it, too. */
  issuer: string;
  /** Seconds that a token lives at most; whoever asks for more gets this. */
  longest?: number;
  /** The API, for what tokens are bound to. */
  client: Client;
  clock: Clock;
  random: Random;
}

/** What a token says before anybody has checked it; undefined when it is no JWT. */
function claimed(token: string): unknown {
  const parts = token.split(".");
  if (parts.length !== 3) return undefined;
  try {
    return JSON.parse(Buffer.from(parts[1]!, "base64url").toString());
  } catch {
    return undefined;
  }
}

/** Makes and checks service account tokens, as upstream (pkg/serviceaccount). */
export function tokenAuthority(options: TokenOptions): TokenAuthority {
  const { keys, issuer, longest = Number.POSITIVE_INFINITY, client, clock, random } = options;

  /** What is signed in a token; `older`: also by keys that have been retired. Throws an Error that says what is wrong with it. */
  const verified = async (token: string, older: boolean): Promise<unknown> => {
    const { kid } = decodeProtectedHeader(token);
    const all = [...(await keys.public(kid)), ...(older ? await keys.retired() : [])];
    const candidates = all.filter((key) => kid === undefined || key.kid === kid);
    if (candidates.length === 0) throw new Error("invalid signature, no keys found");
    for (const { publicKey } of candidates) {
      // The algorithm is ours to say, never the token's: neither none nor a key that everybody knows signs anything.
      const found = await compactVerify(token, publicKey, { algorithms: [algorithm] }).catch(() => undefined);
      if (!found) continue;
      return JSON.parse(new TextDecoder().decode(found.payload));
    }
    throw new Error("invalid signature");
  };
  const sign = async (claims: object): Promise<string> => {
    const { kid, privateKey } = await keys.current();
    return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: algorithm, kid })
      .sign(privateKey);
  };
  const checkAudience = (
    own: readonly string[],
    audiences: readonly string[],
  ): { shared: string[] } | { error: string } => {
    const shared = own.filter((audience) => audiences.includes(audience));
    if (shared.length > 0) return { shared };
    const [said, asked] = [JSON.stringify(own), JSON.stringify(audiences)];
    return { error: `token audiences ${said} is invalid for the target audiences ${asked}` };
  };

  return {
    audience: issuer,
    async issue(account, wish) {
      const bound = wish.bound && (await boundTo(client, account, wish.bound));
      const audiences = wish.audiences.length === 0 ? [issuer] : wish.audiences;
      const expirationSeconds = Math.min(wish.expirationSeconds, longest);
      const claims = claimsOf(account, bound ?? {}, { issuer, audiences, expirationSeconds }, { clock, random });
      return { token: await sign(claims), audiences, expirationSeconds };
    },
    issueLegacy: (account, secretName) => sign(legacyClaimsOf(account, secretName)),
    async review(token, audiences) {
      const said = (claimed(token) ?? {}) as { iss?: unknown };
      if (said.iss !== issuer && said.iss !== legacyIssuer) return undefined;
      let claims: unknown;
      try {
        claims = await verified(token, said.iss === legacyIssuer);
      } catch (error) {
        return { error: messageOf(error) };
      }
      if (said.iss === legacyIssuer) {
        // It names no audience: it is for the API server.
        const audience = checkAudience([issuer], audiences);
        if ("error" in audience) return audience;
        const verdict = await reviewLegacy(token, claims as Record<string, unknown>, { client, clock });
        return "error" in verdict ? verdict : { ...verdict, audiences: audience.shared };
      }
      if (!hasClaims(claims)) {
        return { error: "service account token claims could not be validated due to unexpected private claim" };
      }
      const audience = checkAudience([claims.aud].flat(), audiences);
      if ("error" in audience) return audience;
      const why = await whyNot(claims, client, clock.now());
      return why === undefined ? { user: userOf(claims), audiences: audience.shared } : { error: why };
    },
    async document(path) {
      if (path !== discoveryPaths.configuration && path !== discoveryPaths.keys) return undefined;
      return (await discoveryDocuments(issuer, await keys.public())).find((one) => one.path === path);
    },
  };
}
