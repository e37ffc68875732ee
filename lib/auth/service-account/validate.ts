import { type Kind, type KubernetesObject, nodes, pods, secrets, serviceAccounts } from "#api";
import { isReason, parseTime } from "#base";
import type { Client, ObjectName } from "#client";
import type { Claims, Reference } from "./claims.ts";

/** Allowance for clock skew; tokens of deleted objects are valid for as long, as in upstream. Milliseconds. */
const leeway = 60_000;

const invalidated = "service account token has been invalidated";

/**
 * Why a token with a verified signature is invalid; undefined for a valid one (upstream's validator). The account and
 * the object that the token is bound to must exist, each with its uid; an object that has been deleted for more than a
 * minute and waits for its end counts as gone. Rejects when the objects cannot be read.
 */
export async function whyNot(claims: Claims, client: Client, now: number): Promise<string | undefined> {
  const { namespace, serviceaccount, pod, secret, node } = claims["kubernetes.io"];
  if (now - leeway > claims.exp * 1000) return "service account token has expired";
  if (now + leeway < claims.nbf * 1000) return "service account token is not valid yet";
  if (now + leeway < claims.iat * 1000) return "service account token is issued in the future";
  const isGone = ({ metadata: { deletionTimestamp } }: KubernetesObject): boolean =>
    deletionTimestamp !== undefined && parseTime(deletionTimestamp) < now - leeway;

  const account = await find(client, serviceAccounts, { namespace, name: serviceaccount.name });
  if (!account) return `serviceaccounts "${serviceaccount.name}" not found`;
  if (account.metadata.uid !== serviceaccount.uid) {
    return `service account UID (${account.metadata.uid}) does not match claim (${serviceaccount.uid})`;
  }
  if (isGone(account)) return `service account ${namespace}/${serviceaccount.name} has been deleted`;

  const end = async <T extends KubernetesObject>(
    kind: Kind<T>,
    at: { namespace?: string },
    reference: Reference | undefined,
  ): Promise<string | undefined> => {
    if (!reference) return undefined;
    const there = await find(client, kind, { ...at, name: reference.name });
    if (!there) return invalidated;
    if (there.metadata.uid !== reference.uid) {
      const word = kind.singular;
      return `${word} UID (${there.metadata.uid}) does not match service account ${word} ref claim (${reference.uid})`;
    }
    return isGone(there) ? invalidated : undefined;
  };
  return (
    (await end(secrets, { namespace }, secret)) ??
    (await end(pods, { namespace }, pod)) ??
    // A pod's token names the node, which is not checked.
    (pod ? undefined : await end(nodes, {}, node))
  );
}

async function find<T extends KubernetesObject>(
  client: Client,
  kind: Kind<T>,
  name: ObjectName,
): Promise<T | undefined> {
  try {
    return await client.get(kind, name);
  } catch (error) {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  }
}
