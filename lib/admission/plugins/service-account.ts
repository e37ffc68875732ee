import { serviceAccounts as accounts, type Pod, pods } from "#api";
import { forbidden, isReason } from "#base";
import type { Plugin } from "../port.ts";
import { mountToken, projectsToken, wantsToken } from "./service-account-token.ts";

const mirror = "kubernetes.io/config.mirror";

/**
 * Every pod runs as a service account that exists, by default `default`. It gets the account's pull secrets if it names
 * none, and the account's token unless the pod or the account declines it.
 */
export const serviceAccounts: Plugin = {
  name: "ServiceAccount",
  async mutate({ operation, kind, subresource, object, namespace, name }, { client, random }) {
    if (operation !== "CREATE" || kind !== pods || subresource !== "") return;
    const { spec, metadata } = object as Pod;
    const refuse = (why: string) => forbidden({ group: "", resource: pods.plural }, name, why);
    if (metadata.annotations?.[mirror] !== undefined) {
      if (spec?.serviceAccountName) throw refuse("a mirror pod may not reference service accounts");
      if (projectsToken(object as Pod))
        throw refuse("a mirror pod may not use service account token volume projections");
      return;
    }
    if (!spec) return;
    spec.serviceAccountName ||= "default";
    spec.serviceAccount = spec.serviceAccountName;
    const account = spec.serviceAccountName;
    const found = await client.get(accounts, { namespace, name: account }).catch((error: unknown) => {
      if (!isReason(error, "NotFound")) throw error;
      throw refuse(`error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`);
    });
    if (wantsToken(spec, found)) mountToken(spec, random);
    const { imagePullSecrets } = found;
    if (imagePullSecrets?.length && !spec.imagePullSecrets?.length) spec.imagePullSecrets = [...imagePullSecrets];
  },
};
