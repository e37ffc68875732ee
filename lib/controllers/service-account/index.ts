/** Every active namespace has the account `default` (upstream's serviceaccount controller). */
import { type Namespace, namespaces, type ServiceAccount, serviceAccounts } from "#api";
import { type ControllerContext, defineController, type Key, watching } from "#reconcile";
import { ignoring } from "../ownership.ts";

const name = "default";

export const serviceAccountController = defineController<Namespace>({
  name: "service-account",
  for: namespaces,
  watches: [
    watching<ServiceAccount>(serviceAccounts, ({ type, object }) =>
      type === "DELETED" && object.metadata.name === name ? [{ name: object.metadata.namespace ?? "" }] : [],
    ),
  ],
  reconcile,
});

async function reconcile({ client }: ControllerContext, key: Key): Promise<void> {
  const home = await ignoring(["NotFound"], client.get(namespaces, key));
  if (!home || home.metadata.deletionTimestamp) return;
  const namespace = key.name;
  if (await ignoring(["NotFound"], client.get(serviceAccounts, { namespace, name }))) return;
  await ignoring(
    ["AlreadyExists", "NotFound", "Forbidden"],
    client.create(serviceAccounts, { metadata: { namespace, name } }),
  );
}
