/** Creates the account `default` in every active namespace (upstream's serviceaccount controller). */

import { type Namespace, namespaces, type ServiceAccount, serviceAccounts } from "#api";
import { ignoreNotFound, ignoreReasons } from "#base";
import { type ControllerContext, defineController, type Key, watching } from "#reconcile";

const name = "default";

export const serviceAccountController = defineController<Namespace>({
  name: "serviceaccount",
  for: namespaces,
  watches: [
    watching<ServiceAccount>(serviceAccounts, ({ type, object }) =>
      type === "DELETED" && object.metadata.name === name ? [{ name: object.metadata.namespace ?? "" }] : [],
    ),
  ],
  reconcile,
});

async function reconcile({ client }: ControllerContext, key: Key): Promise<void> {
  const home = await ignoreNotFound(client.get(namespaces, key));
  if (!home || home.metadata.deletionTimestamp) return;
  const namespace = key.name;
  if (await ignoreNotFound(client.get(serviceAccounts, { namespace, name }))) return;
  await ignoreReasons(
    ["AlreadyExists", "NotFound", "Forbidden"],
    client.create(serviceAccounts, { metadata: { namespace, name } }),
  );
}
