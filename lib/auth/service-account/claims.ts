import type { KubernetesObject } from "#api";
import type { User } from "#auth";
import { type Clock, type Random, uuid } from "#base";

/** An object by its name and uid. */
export interface Reference {
  name: string;
  /** Absent for a node that does not exist. */
  uid?: string;
}

/** The object that a token is bound to. A pod's token also names the pod's node. */
export interface Bound {
  pod?: Reference;
  secret?: Reference;
  node?: Reference;
}

/** The claims of a token; times are in seconds since 1970. */
export interface Claims {
  iss: string;
  sub: string;
  aud: string | string[];
  exp: number;
  iat: number;
  nbf: number;
  jti?: string;
  "kubernetes.io": Bound & { namespace: string; serviceaccount: Required<Reference>; warnafter?: number };
}

/** The claims of a new token of an account (upstream's serviceaccount.Claims). */
export function claimsOf(
  { metadata }: KubernetesObject,
  bound: Bound,
  to: { issuer: string; audiences: readonly string[]; expirationSeconds: number },
  { clock, random }: { clock: Clock; random: Random },
): Claims {
  const { namespace = "", name = "", uid = "" } = metadata;
  const now = Math.floor(clock.now() / 1000);
  return {
    aud: [...to.audiences],
    exp: now + to.expirationSeconds,
    iat: now,
    iss: to.issuer,
    jti: uuid(random),
    "kubernetes.io": { namespace, ...bound, serviceaccount: { name, uid } },
    nbf: now,
    sub: `system:serviceaccount:${namespace}:${name}`,
  };
}

const isNumber = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);

/** Whether the signed claims are complete. */
export function hasClaims(value: unknown): value is Claims {
  const { exp, iat, nbf, aud, "kubernetes.io": own } = (value ?? {}) as Partial<Claims>;
  const { namespace, serviceaccount } = own ?? {};
  return (
    isNumber(exp) &&
    isNumber(iat) &&
    isNumber(nbf) &&
    aud !== undefined &&
    !!(namespace && serviceaccount?.name && serviceaccount.uid)
  );
}

const extraPrefix = "authentication.kubernetes.io";

/** The user of a token (upstream's ServiceAccountInfo.UserInfo). */
export function userOf({ jti, "kubernetes.io": own }: Claims): User {
  const { namespace, serviceaccount, pod, node } = own;
  const extra: Record<string, string[]> = {};
  const tell = (key: string, value: string | undefined) => {
    if (value) extra[`${extraPrefix}/${key}`] = [value];
  };
  tell("credential-id", jti && `JTI=${jti}`);
  tell("node-name", node?.name);
  tell("node-uid", node?.uid);
  tell("pod-name", pod?.name);
  tell("pod-uid", pod?.uid);
  return {
    name: `system:serviceaccount:${namespace}:${serviceaccount.name}`,
    uid: serviceaccount.uid,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
    extra,
  };
}
