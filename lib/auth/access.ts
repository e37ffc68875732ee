import type { Access, TokenReviewResult } from "#api/meta";
import { isReason, unsupported } from "#base";
import type { Authenticator, Authorizer, RuleResolver, TokenAuthority } from "./port.ts";

export interface AccessOptions {
  authorize: Authorizer;
  authenticators: readonly Authenticator[];
  /** The rules that users have. Defaults to none that can be listed. */
  rules?: RuleResolver | undefined;
  /** Issues and reviews tokens. Defaults to none. */
  tokens?: TokenAuthority | undefined;
}

const unknownToken = "invalid bearer token";

/** Rights and tokens for hooks of kinds and for admission plugins, from what authenticates and authorizes requests. */
export function accessOf({ authorize, authenticators, rules, tokens }: AccessOptions): Access {
  return {
    authorize: async (attributes) => authorize(attributes),
    rulesFor: async (user, namespace) =>
      (await rules?.rulesFor(user, namespace)) ?? { rules: [], incomplete: true, error: "" },
    rulesOf: async (role, namespace) => (await rules?.rulesOf(role, namespace)) ?? [],
    async issueToken(account, options) {
      if (!tokens) throw unsupported("issuing tokens");
      return tokens.issue(account, options);
    },
    reviewToken: (token, audiences) => reviewToken({ authenticators, tokens }, token, audiences),
    legacyTokens: tokens,
  };
}

/** Authenticators that know no audiences accept a token for the API server alone. */
async function reviewToken(
  { authenticators, tokens }: Pick<AccessOptions, "authenticators" | "tokens">,
  token: string,
  audiences: readonly string[],
): Promise<TokenReviewResult> {
  const own = tokens?.audience;
  const requested = audiences.length === 0 && own !== undefined ? [own] : audiences;
  const result = await tokens?.review(token, requested);
  if (result) return "error" in result ? { error: `[${unknownToken}, ${result.error}]` } : result;
  if (own !== undefined && !requested.includes(own)) return { error: unknownToken };
  try {
    for (const authenticator of authenticators) {
      const user = await authenticator({ headers: { authorization: `Bearer ${token}` } });
      if (user) return { user, audiences: own === undefined ? [] : [own] };
    }
  } catch (error) {
    if (!isReason(error, "Unauthorized")) throw error;
  }
  return { error: unknownToken };
}
