/** Every active namespace has the account `default` (upstream's serviceaccount controller). */
import { serviceAccount as accounts, type Namespace, namespace as namespaces, type ServiceAccount } from "#api";
import { type ControllerContext, defineController, type Key, watching } from "#reconcile";
import { ignoring } from "../ownership.ts";

const name = "default";

export const serviceAccountController = defineController<Namespace>({
  name: "service-account",
  for: namespaces,
  watches: [
    watching<ServiceAccount>(accounts, ({ type, object }) =>
      type === "DELETED" && object.metadata.name === name ? [{ name: object.metadata.namespace ?? "" }] : [],
    ),
  ],
  reconcile,
});

async function reconcile({ client }: ControllerContext, key: Key): Promise<void> {
  const home = await ignoring(["NotFound"], client.get(namespaces, key));
  if (!home || home.metadata.deletionTimestamp) return;
  const namespace = key.name;
  if (await ignoring(["NotFound"], client.get(accounts, { namespace, name }))) return;
  await ignoring(
    ["AlreadyExists", "NotFound", "Forbidden"],
    client.create(accounts, { metadata: { namespace, name } }),
  );
}
