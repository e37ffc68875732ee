import type { HookContext } from "./kind.ts";
import type { KubernetesObject } from "./object-meta.ts";

/** Somebody who has shown who they are. */
export interface Asker {
  name: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}

/** What is about to be done, or what somebody asks whether it may be done. */
export interface AccessAttributes {
  user: Asker;
  verb: string;
  /** Absent for paths that are no resource. */
  resource?: { group: string; version: string; plural: string; subresource: string; namespace: string; name: string };
  path: string;
  /** The field selector of a list or watch, as it was sent. */
  fieldSelector?: string | undefined;
}

/** `undefined`: no opinion. A reason to refuse is told to the client where nobody allows. */
export type AccessDecision = { allowed: true; reason?: string } | { allowed: false; reason: string } | undefined;

/** What somebody may do: to resources by group, name and verb, or to paths by verb; `*` stands for all. */
export interface AccessRule {
  verbs: string[];
  apiGroups?: string[] | undefined;
  resources?: string[] | undefined;
  resourceNames?: string[] | undefined;
  nonResourceURLs?: string[] | undefined;
}

/** All that is known to be allowed to somebody. */
export interface AccessRules {
  rules: readonly AccessRule[];
  /** There may be more that cannot be listed. */
  incomplete: boolean;
  /** What could not be looked up; "" when nothing is amiss. */
  error: string;
}

/** What a token is wanted for. */
export interface TokenWish {
  /** Empty: the API server. */
  audiences: readonly string[];
  expirationSeconds: number;
  /** The object with which the token ends. */
  bound?: Partial<Record<"apiVersion" | "kind" | "name" | "uid", string | undefined>> | undefined;
}

/** A token, and what of the wish was granted. */
export interface IssuedToken {
  token: string;
  audiences: readonly string[];
  expirationSeconds: number;
}

/** What came of looking at a token: whose it is, and who of those asked it is for; or why it is nobody's. */
export type TokenVerdict = { user: Asker; audiences: readonly string[] } | { error: string };

/** What a hook may ask about rights. */
export interface AccessContext extends HookContext {
  user: Asker;
  /** Namespace and name of the request's path; "" where it has none. */
  namespace: string;
  name: string;
  authorize(attributes: AccessAttributes): Promise<AccessDecision>;
  /** The rules in favour of somebody that hold in a namespace, "" for those that hold everywhere. */
  rulesFor(user: Asker, namespace: string): Promise<AccessRules>;
  /** The rules of a role that a binding in this namespace names. Throws ApiError 404 when it is not there. */
  rulesOf(role: { kind: string; name: string }, namespace: string): Promise<readonly AccessRule[]>;
  /** Makes a token of an account. Throws an ApiError where the wish cannot be granted. */
  issueToken(account: KubernetesObject, wish: TokenWish): Promise<IssuedToken>;
  /** Looks at a token as if it had come with a request; the audiences are the API server unless given. */
  reviewToken(token: string, audiences: readonly string[]): Promise<TokenVerdict>;
}
