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

/** The credentials of a request. */
export interface Credentials {
  headers: Readonly<Record<string, string | undefined>>;
  certificate?: { commonName: string; organizations: string[] };
  /**
   * The principal that signed the request, as verified by a cloud's gateway: its name, its account, and its unique id.
   */
  principal?: { arn: string; account: string; id: string } | undefined;
}

/**
 * Returns the user of the credentials; undefined for credentials of another kind. Throws ApiError 401 for invalid ones.
 */
export type Authenticator = (credentials: Credentials) => Promise<User | undefined> | User | undefined;

export type Authorizer = (attributes: AccessAttributes) => Promise<AccessDecision> | AccessDecision;

/** Lists the rules of users and roles. */
export interface RuleResolver {
  /** The rules of a user in a namespace; "" for the cluster-wide ones. */
  rulesFor(user: User, namespace: string): Promise<AccessRules>;
  /** The rules of the role that a binding in this namespace refers to. Throws ApiError 404 for a missing role. */
  rulesOf(role: { kind: string; name: string }, namespace: string): Promise<readonly AccessRule[]>;
}

/** Issues and reviews tokens of service accounts, and publishes the documents with which others verify them. */
export interface TokenAuthority {
  /** The audience of the API server. */
  readonly audience: string;
  /**
   * Issues a token of an existing account. Throws ApiError NotFound, BadRequest or Conflict for the object that it is
   * bound to.
   */
  issue(account: KubernetesObject, wish: TokenOptions): Promise<IssuedToken>;
  /**
   * Issues a token without an expiry for the secret of this name: upstream's legacy token. It is valid while the secret
   * holds it.
   */
  issueLegacy(account: KubernetesObject, secretName: string): Promise<string>;
  /** Undefined for a token of another issuer. */
  review(token: string, audiences: readonly string[]): Promise<TokenReviewResult | undefined>;
  /** The document of OIDC discovery at a path; undefined for every other path. */
  document(path: string): Promise<{ headers: Record<string, string>; body: string } | undefined>;
}
