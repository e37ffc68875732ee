import type {
  AccessAttributes,
  AccessDecision,
  AccessRule,
  AccessRules,
  IssuedToken,
  KubernetesObject,
  TokenOptions,
  TokenReviewResult,
  User,
} from "#api/meta";

export type { AccessAttributes as Attributes, AccessDecision as Decision, User } from "#api/meta";

/** What a request shows of its sender. */
export interface Credentials {
  headers: Readonly<Record<string, string | undefined>>;
  certificate?: { commonName: string; organizations: string[] };
  /**
   * Who signed the request, by the word of a cloud's gateway that has checked it: the name, the account, and the id
   * that is never given to anybody else.
   */
  principal?: { arn: string; account: string; id: string } | undefined;
}

/** Undefined: these credentials say nothing to me. Throws ApiError 401 when they are mine and wrong. */
export type Authenticator = (credentials: Credentials) => Promise<User | undefined> | User | undefined;

export type Authorizer = (attributes: AccessAttributes) => Promise<AccessDecision> | AccessDecision;

/** Knows what people may do, beyond answering whether they may do one thing. */
export interface RuleResolver {
  /** The rules in favour of a user that hold in a namespace; "" for those that hold everywhere. */
  rulesFor(user: User, namespace: string): Promise<AccessRules>;
  /** The rules of the role that a binding in this namespace names. Throws ApiError 404 when it is not there. */
  rulesOf(role: { kind: string; name: string }, namespace: string): Promise<readonly AccessRule[]>;
}

/** Makes the tokens of service accounts, checks them, and tells others how to check them. */
export interface TokenAuthority {
  /** Who a token is for that is for the API server. */
  readonly audience: string;
  /** Makes a token of an account that is there. Throws ApiError: NotFound, BadRequest, Conflict for what it is bound to. */
  issue(account: KubernetesObject, wish: TokenOptions): Promise<IssuedToken>;
  /**
   * Makes a token that ends with a secret and not by time, for the secret of this name: upstream's legacy token. It is
   * good for as long as the secret holds it.
   */
  issueLegacy(account: KubernetesObject, secretName: string): Promise<string>;
  /** Undefined: not one of mine. */
  review(token: string, audiences: readonly string[]): Promise<TokenReviewResult | undefined>;
  /** The document of OIDC discovery at a path; undefined for every other path. */
  document(path: string): Promise<{ headers: Record<string, string>; body: string } | undefined>;
}
