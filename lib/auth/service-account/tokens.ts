import { CompactSign, compactVerify, decodeProtectedHeader } from "jose";
import type { IssuedToken, KubernetesObject, TokenOptions as RequestedToken, TokenReviewResult } from "#api";
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
  /** An https address without a slash at its end. It is also the audience of the API server. */
  issuer: string;
  /** The longest lifetime of a token in seconds; a request for more gets this. */
  longest?: number;
  /** Reads the objects that tokens are bound to. */
  client: Client;
  clock: Clock;
  random: Random;
}

/** The claims of a token whose signature has not been verified; undefined where it is no JWT. */
function unverifiedClaims(token: string): unknown {
  const parts = token.split(".");
  if (parts.length !== 3) return undefined;
  try {
    return JSON.parse(Buffer.from(parts[1]!, "base64url").toString());
  } catch {
    return undefined;
  }
}

/** Issues and reviews service account tokens, as upstream (pkg/serviceaccount). */
export const tokenAuthority = (options: TokenOptions): TokenAuthority => new JwtAuthority(options);

class JwtAuthority implements TokenAuthority {
  readonly #options: TokenOptions;

  constructor(options: TokenOptions) {
    this.#options = options;
  }

  get audience(): string {
    return this.#options.issuer;
  }

  async issue(account: KubernetesObject, requested: RequestedToken): Promise<IssuedToken> {
    const { issuer, longest = Number.POSITIVE_INFINITY, client, clock, random } = this.#options;
    const bound = requested.bound && (await boundTo(client, account, requested.bound));
    const audiences = requested.audiences.length === 0 ? [issuer] : requested.audiences;
    const expirationSeconds = Math.min(requested.expirationSeconds, longest);
    const claims = claimsOf(account, bound ?? {}, { issuer, audiences, expirationSeconds }, { clock, random });
    return { token: await this.#sign(claims), audiences, expirationSeconds };
  }

  issueLegacy(account: KubernetesObject, secretName: string): Promise<string> {
    return this.#sign(legacyClaimsOf(account, secretName));
  }

  async review(token: string, audiences: readonly string[]): Promise<TokenReviewResult | undefined> {
    const { issuer, client, clock } = this.#options;
    const { iss } = (unverifiedClaims(token) ?? {}) as { iss?: unknown };
    if (iss !== issuer && iss !== legacyIssuer) return undefined;
    let claims: unknown;
    try {
      claims = await this.#verified(token, iss === legacyIssuer);
    } catch (error) {
      return { error: messageOf(error) };
    }
    if (iss === legacyIssuer) {
      // A legacy token names no audience: it is for the API server.
      const audience = checkAudience([issuer], audiences);
      if ("error" in audience) return audience;
      const result = await reviewLegacy(token, claims as Record<string, unknown>, { client, clock });
      return "error" in result ? result : { ...result, audiences: audience.shared };
    }
    if (!hasClaims(claims)) {
      return { error: "service account token claims could not be validated due to unexpected private claim" };
    }
    const audience = checkAudience([claims.aud].flat(), audiences);
    if ("error" in audience) return audience;
    const error = await whyNot(claims, client, clock.now());
    return error === undefined ? { user: userOf(claims), audiences: audience.shared } : { error };
  }

  async document(path: string): Promise<{ headers: Record<string, string>; body: string } | undefined> {
    if (path !== discoveryPaths.configuration && path !== discoveryPaths.keys) return undefined;
    const { issuer, keys } = this.#options;
    return (await discoveryDocuments(issuer, await keys.public())).find((one) => one.path === path);
  }

  /**
   * The verified claims of a token; with `withRetired` also those that a retired key has signed. Throws an Error that
   * names the fault.
   */
  async #verified(token: string, withRetired: boolean): Promise<unknown> {
    const { keys } = this.#options;
    const { kid } = decodeProtectedHeader(token);
    const all = [...(await keys.public(kid)), ...(withRetired ? await keys.retired() : [])];
    const candidates = all.filter((key) => kid === undefined || key.kid === kid);
    if (candidates.length === 0) throw new Error("invalid signature, no keys found");
    for (const { publicKey } of candidates) {
      // The authority chooses the algorithm, never the token: neither `none` nor a symmetric key verifies.
      const found = await compactVerify(token, publicKey, { algorithms: [algorithm] }).catch(() => undefined);
      if (found) return JSON.parse(new TextDecoder().decode(found.payload));
    }
    throw new Error("invalid signature");
  }

  async #sign(claims: object): Promise<string> {
    const { kid, privateKey } = await this.#options.keys.current();
    return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: algorithm, kid })
      .sign(privateKey);
  }
}

/** The audiences of a token that the caller accepts too, or upstream's error where there is none. */
function checkAudience(own: readonly string[], audiences: readonly string[]): { shared: string[] } | { error: string } {
  const shared = own.filter((audience) => audiences.includes(audience));
  if (shared.length > 0) return { shared };
  const [has, wants] = [JSON.stringify(own), JSON.stringify(audiences)];
  return { error: `token audiences ${has} is invalid for the target audiences ${wants}` };
}
