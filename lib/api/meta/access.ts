import { unsupported } from "#base";
import type { HookContext } from "./kind.ts";
import type { KubernetesObject } from "./object-meta.ts";

/** An authenticated user. */
export interface User {
  name: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}

/** The attributes of an action that is to be authorized. */
export interface AccessAttributes {
  user: User;
  verb: string;
  /** Absent for paths that are no resource. */
  resource?: { group: string; version: string; plural: string; subresource: string; namespace: string; name: string };
  path: string;
  /** The field selector of a list or watch, as it was sent. */
  fieldSelector?: string | undefined;
}

/** `undefined`: no opinion. The reasons of refusals are returned to the client where no authorizer allows. */
export type AccessDecision = { allowed: true; reason?: string } | { allowed: false; reason: string } | undefined;

/** Rights on resources by group, name and verb, or on paths by verb; `*` matches all. */
export interface AccessRule {
  verbs: string[];
  apiGroups?: string[] | undefined;
  resources?: string[] | undefined;
  resourceNames?: string[] | undefined;
  nonResourceURLs?: string[] | undefined;
}

/** The known rights of a user. */
export interface AccessRules {
  rules: readonly AccessRule[];
  /** There may be more that cannot be listed. */
  incomplete: boolean;
  /** What could not be looked up; "" when nothing is amiss. */
  error: string;
}

/** The options of a new token. */
export interface TokenOptions {
  /** Empty: the API server. */
  audiences: readonly string[];
  expirationSeconds: number;
  /** The object with which the token ends. */
  bound?: Partial<Record<"apiVersion" | "kind" | "name" | "uid", string | undefined>> | undefined;
}

/** A token, with its granted options. */
export interface IssuedToken {
  token: string;
  audiences: readonly string[];
  expirationSeconds: number;
}

/** The result of a token review: the user and the matching audiences, or the error. */
export type TokenReviewResult = { user: User; audiences: readonly string[] } | { error: string };

/** Issues tokens that end with a secret and not by time: upstream's legacy tokens. */
export interface LegacyTokens {
  issueLegacy(account: KubernetesObject, secretName: string): Promise<string>;
}

/** Rights and tokens, as hooks of kinds and admission plugins may use them. */
export interface Access {
  authorize(attributes: AccessAttributes): Promise<AccessDecision>;
  /** The rules of a user in a namespace, "" for the cluster-wide ones. */
  rulesFor(user: User, namespace: string): Promise<AccessRules>;
  /** The rules of a role that a binding in this namespace names. Throws ApiError 404 when it is not there. */
  rulesOf(role: { kind: string; name: string }, namespace: string): Promise<readonly AccessRule[]>;
  /** Issues a token of an account. Throws an ApiError where the options cannot be granted. */
  issueToken(account: KubernetesObject, options: TokenOptions): Promise<IssuedToken>;
  /** Reviews a token as if a request carried it. `audiences` default to that of the API server. */
  reviewToken(token: string, audiences: readonly string[]): Promise<TokenReviewResult>;
  /** Absent where the process holds no keys. */
  legacyTokens?: LegacyTokens | undefined;
}

/** What a hook may use besides the object. */
export interface AccessContext extends HookContext, Access {
  user: User;
  /** Namespace and name of the request's path; "" where it has none. */
  namespace: string;
  name: string;
}

/** No rights and no tokens. */
export const noAccess: Access = {
  authorize: async () => undefined,
  rulesFor: async () => ({ rules: [], incomplete: true, error: "" }),
  rulesOf: async () => [],
  async issueToken() {
    throw unsupported("issuing tokens");
  },
  reviewToken: async () => ({ error: "invalid bearer token" }),
};
