import type { Authenticator } from "#auth";
import { unauthorized } from "#base";
import { type PrincipalOptions, userOf } from "./principals.ts";

/** Authenticates requests whose signature the host's gateway has verified. */
export const signedRequests =
  (options: PrincipalOptions): Authenticator =>
  async ({ principal }) => {
    if (!principal) return undefined;
    const user = await userOf(principal, options);
    if (!user) throw unauthorized();
    return user;
  };
