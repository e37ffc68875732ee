/**
 * Publishes the ConfigMap kube-root-ca.crt to every active namespace; pods verify the API server with it (upstream's
 * root-ca-certificate-publisher controller).
 */
import { type ConfigMap, configMaps, type Namespace, namespaces } from "#api";
import { clone, ignoreNotFound, ignoreReasons } from "#base";
import { type Controller, type ControllerContext, defineController, type Key, watching } from "#reconcile";

const name = "kube-root-ca.crt";
const key = "ca.crt";
const annotation = "kubernetes.io/description";
const description =
  "Holds the certificate authority by which pods verify the API server; kept up to date by the control plane.";

export const rootCaCertificatePublisher = ({ ca }: { ca: () => Promise<string> }): Controller<Namespace> =>
  defineController<Namespace>({
    name: "root-ca-certificate-publisher",
    for: namespaces,
    watches: [
      watching<ConfigMap>(configMaps, ({ object }) =>
        object.metadata.name === name ? [{ name: object.metadata.namespace ?? "" }] : [],
      ),
    ],
    reconcile: (context, at) => publish(context, at, ca),
  });

async function publish({ client }: ControllerContext, at: Key, readCa: () => Promise<string>): Promise<void> {
  const home = await ignoreNotFound(client.get(namespaces, at));
  if (!home || home.metadata.deletionTimestamp) return;
  const ca = await readCa();
  const namespace = at.name;
  const there = await ignoreNotFound(client.get(configMaps, { namespace, name }));
  if (!there) {
    const made = { metadata: { namespace, name, annotations: { [annotation]: description } }, data: { [key]: ca } };
    await ignoreReasons(["AlreadyExists", "NotFound", "Forbidden"], client.create(configMaps, made));
    return;
  }
  if (there.data?.[key] === ca && Object.keys(there.data).length === 1) return;
  const next = clone(there);
  next.data = { [key]: ca };
  await ignoreNotFound(client.update(configMaps, next));
}
