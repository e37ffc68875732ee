import type { Secret } from "#api";
import { formatTime, parseTime } from "#base";
import type { BootstrapToken } from "./token.ts";

/** The type and the namespace of secrets that hold tokens. */
export const tokenType = "bootstrap.kubernetes.io/token";
export const tokenNamespace = "kube-system";

const namePrefix = "bootstrap-token-";
const nameForm = /^bootstrap-token-([a-z0-9]{6})$/;
const groupForm = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/** The group of every user of a token. */
export const defaultGroup = "system:bootstrappers";
/** The group of kubelets that join by a token, with kubeadm's name. */
export const nodeGroup = "system:bootstrappers:kubeadm:default-node-token";

export type TokenUse = "signing" | "authentication";

export const isTokenSecret = ({ type, metadata }: Secret): boolean =>
  type === tokenType && metadata.namespace === tokenNamespace;

export const secretNameOf = (id: string): string => `${namePrefix}${id}`;

/** The text of a key; "" where the secret does not have it. */
export function textOf({ data }: Secret, key: string): string {
  const bytes = atob(data?.[key] ?? "");
  return new TextDecoder().decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
}

/**
 * When a token expires, in milliseconds; undefined for never. A malformed time has passed (cluster-bootstrap's
 * GetExpiration).
 */
export function expiryOf(secret: Secret): number | undefined {
  const text = textOf(secret, "expiration");
  if (text === "") return undefined;
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const time = isTime ? parseTime(text) : Number.NaN;
  return Number.isNaN(time) ? 0 : time;
}

/** The token of a secret. Throws an Error with the reason where it cannot be used for `use` at `now` (milliseconds). */
export function usableToken(secret: Secret, use: TokenUse, now: number): BootstrapToken {
  const { name = "", deletionTimestamp } = secret.metadata;
  if (!isTokenSecret(secret)) throw new Error(`has invalid type, expected ${tokenType}`);
  if (deletionTimestamp) throw new Error("is deleted and awaiting removal");
  const token = { id: textOf(secret, "token-id"), secret: textOf(secret, "token-secret") };
  if (token.id === "" || nameForm.exec(name)?.[1] !== token.id) throw new Error("has invalid value for key token-id");
  if (token.secret === "") throw new Error("has invalid value for key token-secret");
  if ((expiryOf(secret) ?? Number.POSITIVE_INFINITY) <= now) throw new Error("has expired");
  if (textOf(secret, `usage-bootstrap-${use}`) !== "true") throw new Error(`not marked usage-bootstrap-${use}=true`);
  return token;
}

/** The groups of a token's user, sorted. Throws an Error for a malformed group (GetGroups). */
export function groupsOf(secret: Secret): string[] {
  const extra = textOf(secret, "auth-extra-groups");
  const groups = extra === "" ? [] : extra.split(",");
  const wrong = groups.find((group) => !groupForm.test(group));
  if (wrong !== undefined) throw new Error(`bootstrap group "${wrong}" is invalid`);
  return [...new Set([defaultGroup, ...groups])].sort();
}

export interface TokenSecretOptions {
  token: BootstrapToken;
  /** Milliseconds; absent for a token that does not expire. */
  expiry?: number | undefined;
  description?: string | undefined;
  groups: readonly string[];
}

/** The secret of a token for all uses. */
export function tokenSecret({ token, expiry, description, groups }: TokenSecretOptions): Secret {
  const texts = {
    "token-id": token.id,
    "token-secret": token.secret,
    "usage-bootstrap-authentication": "true",
    "usage-bootstrap-signing": "true",
    "auth-extra-groups": groups.join(","),
    ...(description ? { description } : {}),
    ...(expiry === undefined ? {} : { expiration: formatTime(expiry) }),
  };
  return {
    metadata: { namespace: tokenNamespace, name: secretNameOf(token.id) },
    type: tokenType,
    stringData: texts,
  };
}
