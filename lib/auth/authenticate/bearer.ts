import { type Log, unauthorized } from "#base";
import type { Authenticator, TokenAuthority } from "../port.ts";

/**
 * Authenticates bearer tokens of service accounts. Throws ApiError 401 for an invalid one; the reason is logged only.
 */
export const bearerTokens =
  (tokens: TokenAuthority, log: Log): Authenticator =>
  async ({ headers }) => {
    const token = /^Bearer +(\S+)$/i.exec(headers["authorization"] ?? "")?.[1];
    if (token === undefined) return undefined;
    const verdict = await tokens.review(token, [tokens.audience]);
    if (!verdict) return undefined;
    if (!("error" in verdict)) return verdict.user;
    log.info("a token was refused", { why: verdict.error });
    throw unauthorized();
  };
