/** Somebody who has shown who they are. */
export interface User {
  name: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}

/** What a request shows of its sender. */
export interface Credentials {
  headers: Readonly<Record<string, string | undefined>>;
  certificate?: { commonName: string; organizations: string[] };
}

/** Undefined: these credentials say nothing to me. Throws ApiError 401 when they are mine and wrong. */
export type Authenticator = (credentials: Credentials) => Promise<User | undefined> | User | undefined;

/** What is about to be done. */
export interface Attributes {
  user: User;
  verb: string;
  /** Absent for paths that are no resource. */
  resource?: { group: string; version: string; plural: string; subresource: string; namespace: string; name: string };
  path: string;
  /** The field selector of a list or watch, as it was sent. */
  fieldSelector?: string | undefined;
}

/** `undefined`: no opinion. A reason is told to the client where nobody allows. */
export type Decision = { allowed: true } | { allowed: false; reason: string } | undefined;

export type Authorizer = (attributes: Attributes) => Promise<Decision> | Decision;
