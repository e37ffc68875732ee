import {
  accountNameAnnotation,
  accountUidAnnotation,
  type Secret,
  secrets,
  serviceAccounts,
  tokenSecretType,
} from "#api";
import { isReason } from "#base";
import type { Plugin } from "../port.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/**
 * Fills a secret of type kubernetes.io/service-account-token with a token of the account that its annotation names, the
 * cluster's authority and the namespace. Upstream's tokens controller does so a moment later; here it is part of the
 * write, since only the API server holds the signing keys.
 */
export const tokenSecrets = (readCa: () => Promise<string>): Plugin => ({
  name: "TokenSecrets",
  async mutate({ operation, kind, subresource, object, namespace }, { client, tokens }) {
    if ((operation !== "CREATE" && operation !== "UPDATE") || kind !== secrets || subresource !== "") return;
    const secret = object as Secret;
    const { annotations = {}, name: secretName } = secret.metadata;
    const account = annotations[accountNameAnnotation];
    // A secret without a name is refused by validation; a generated name is not known before the write.
    if (!tokens || secret.type !== tokenSecretType || !account || !secretName) return;
    const data = secret.data ?? {};
    const ca = base64(await readCa());
    if (data["token"] && data["namespace"] && data["ca.crt"] === ca) return;
    const found = await client.get(serviceAccounts, { namespace, name: account }).catch((error: unknown) => {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    });
    const { uid = "", deletionTimestamp } = found?.metadata ?? {};
    // The tokens controller removes secrets of no account, or of an earlier one of the same name.
    if (!found || deletionTimestamp || (annotations[accountUidAnnotation] ?? uid) !== uid) return;
    const token = data["token"] || base64(await tokens.issueLegacy(found, secretName));
    secret.data = { ...data, "ca.crt": ca, namespace: data["namespace"] || base64(namespace), token };
    secret.metadata.annotations = { ...annotations, [accountUidAnnotation]: uid };
  },
});
