import { type KubernetesObject, secrets, serviceAccounts } from "#api";
import type { User } from "#auth";
import { type Clock, formatTime, isReason } from "#base";
import type { Client } from "#client";

/** The issuer of tokens in secrets, in every cluster (upstream's LegacyIssuer). */
export const legacyIssuer = "kubernetes/serviceaccount";

const prefix = "kubernetes.io/serviceaccount/";
const lastUsed = "kubernetes.io/legacy-token-last-used";
const invalidSince = "kubernetes.io/legacy-token-invalid-since";

/** The claims of a token in a secret (upstream's LegacyClaims), which has neither audience nor expiry. */
export const legacyClaimsOf = ({ metadata }: KubernetesObject, secretName: string): Record<string, string> => ({
  iss: legacyIssuer,
  [`${prefix}namespace`]: metadata.namespace ?? "",
  [`${prefix}secret.name`]: secretName,
  [`${prefix}service-account.name`]: metadata.name ?? "",
  [`${prefix}service-account.uid`]: metadata.uid ?? "",
  sub: `system:serviceaccount:${metadata.namespace}:${metadata.name}`,
});

interface LegacyOptions {
  client: Client;
  clock: Clock;
}

/**
 * The user of a token with a verified signature, or why it is not valid (upstream's legacyValidator): its secret must
 * exist and hold this token, and its account must exist with the uid of the token.
 */
export async function reviewLegacy(
  token: string,
  claims: Readonly<Record<string, unknown>>,
  options: LegacyOptions,
): Promise<{ user: User } | { error: string }> {
  const { client } = options;
  const said = (name: string): string => String(claims[`${prefix}${name}`] ?? "");
  const [namespace, secretName] = [said("namespace"), said("secret.name")];
  const [name, uid] = [said("service-account.name"), said("service-account.uid")];
  if (claims["sub"] !== `system:serviceaccount:${namespace}:${name}`) return { error: "sub claim is invalid" };
  const secret = await found(client.get(secrets, { namespace, name: secretName }));
  if (!secret || secret.metadata.deletionTimestamp) return { error: "Token has been invalidated" };
  if (!isSame(secret.data?.["token"] ?? "", token)) return { error: "Token does not match server's copy" };
  const account = await found(client.get(serviceAccounts, { namespace, name }));
  if (!account) return { error: `serviceaccounts "${name}" not found` };
  if (account.metadata.deletionTimestamp) return { error: `ServiceAccount ${namespace}/${name} has been deleted` };
  if (account.metadata.uid !== uid) {
    return { error: `ServiceAccount UID (${account.metadata.uid}) does not match claim (${uid})` };
  }
  await noteUse(secret, options);
  if (secret.metadata.labels?.[invalidSince]) {
    const why = `the token in secret ${namespace}/${secretName} for service account ${namespace}/${name} has been marked invalid`;
    return {
      error: `${why}. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '${invalidSince}' label from the secret to temporarily allow use of this token`,
    };
  }
  const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
  return { user: { name: `system:serviceaccount:${namespace}:${name}`, uid, groups } };
}

const found = <T>(answer: Promise<T>): Promise<T | undefined> =>
  answer.catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });

/** Compares the base64 value of a secret with a token in constant time. */
function isSame(kept: string, token: string): boolean {
  const [a, b] = [Buffer.from(kept, "base64"), Buffer.from(token)];
  if (a.length !== b.length) return false;
  let differs = 0;
  for (const [index, byte] of a.entries()) differs |= byte ^ b[index]!;
  return differs === 0;
}

/**
 * Records the day of a token's last use as a label of its secret, once a day. A token is valid also where this fails.
 */
async function noteUse(secret: KubernetesObject, { client, clock }: LegacyOptions): Promise<void> {
  const today = formatTime(clock.now()).slice(0, 10);
  if (secret.metadata.labels?.[lastUsed] === today) return;
  const { namespace, name = "", uid } = secret.metadata;
  const patch = { metadata: { uid, labels: { [lastUsed]: today } } };
  await client.patch(secrets, { namespace, name }, patch, { type: "merge" }).catch(() => {});
}
