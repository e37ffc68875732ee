import { type Log, unauthorized } from "#base";
import type { Authenticator, TokenAuthority } from "../port.ts";

/** Understands bearer tokens of service accounts. Throws ApiError 401 for one that is wrong; only the log is told why. */
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
