/**
 * Deletes token secrets whose service account does not exist or has another uid (upstream's tokens controller).
 * Admission fills in tokens; a secret that it could not fill is written once more.
 */

import {
  accountNameAnnotation,
  accountUidAnnotation,
  type Secret,
  type ServiceAccount,
  secrets,
  serviceAccounts,
  tokenSecretType,
} from "#api";
import { ignoreNotFound, ignoreReasons } from "#base";
import { type ControllerContext, defineController, type Key, watching } from "#reconcile";

const isTokenSecret = ({ type }: Secret): boolean => type === tokenSecretType;

export const serviceAccountTokenController = defineController<Secret>({
  name: "serviceaccount-token",
  for: secrets,
  concerns: ({ type, object }) => type !== "DELETED" && isTokenSecret(object),
  watches: [
    watching<ServiceAccount>(serviceAccounts, async ({ type, object }, { client }) => {
      if (type !== "DELETED") return [];
      const { namespace, name } = object.metadata;
      const { items } = await client.list(secrets, { namespace });
      const own = items.filter(
        (each) => isTokenSecret(each) && each.metadata.annotations?.[accountNameAnnotation] === name,
      );
      return own.map(({ metadata }) => ({ namespace, name: metadata.name ?? "" }));
    }),
  ],
  reconcile,
});

async function reconcile({ client }: ControllerContext, key: Key): Promise<void> {
  const secret = await ignoreNotFound(client.get(secrets, key));
  if (!secret || !isTokenSecret(secret) || secret.metadata.deletionTimestamp) return;
  const { annotations = {}, uid, resourceVersion: revision } = secret.metadata;
  const at = { namespace: key.namespace, name: annotations[accountNameAnnotation] ?? "" };
  const account = await ignoreNotFound(client.get(serviceAccounts, at));
  const wanted = annotations[accountUidAnnotation];
  if (!account || (wanted !== undefined && wanted !== account.metadata.uid)) {
    await ignoreReasons(["NotFound", "Conflict"], client.delete(secrets, key, { uid, revision }));
    return;
  }
  if (!secret.data?.["token"]) await ignoreReasons(["NotFound", "Conflict"], client.update(secrets, secret));
}
