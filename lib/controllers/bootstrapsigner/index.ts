/**
 * Signs the description of the cluster in the ConfigMap cluster-info by each bootstrap token, so that a machine that
 * knows a token can trust it (upstream's bootstrap-signer-controller).
 */
import { type ConfigMap, configMaps, type Secret, secrets } from "#api";
import { clone, deepEqual, ignoreNotFound, ignoreReasons, messageOf } from "#base";
import {
  clusterInfo,
  isTokenSecret,
  kubeconfigKey,
  signatureOf,
  signaturePrefix,
  tokenNamespace,
  usableToken,
} from "#bootstrap-tokens";
import { type ControllerContext, defineController, watching } from "#reconcile";

export const bootstrapSignerController = defineController<ConfigMap>({
  name: "bootstrapsigner",
  for: configMaps,
  concerns: ({ object: { metadata } }) =>
    metadata.namespace === clusterInfo.namespace && metadata.name === clusterInfo.name,
  watches: [watching<Secret>(secrets, ({ object }) => (isTokenSecret(object) ? [clusterInfo] : []))],
  workers: 1,
  reconcile,
});

async function reconcile(context: ControllerContext): Promise<void> {
  const { client } = context;
  const info = await ignoreNotFound(client.get(configMaps, clusterInfo));
  const content = info?.data?.[kubeconfigKey];
  if (!info || content === undefined) return;
  const others = Object.entries(info.data ?? {}).filter(([key]) => !key.startsWith(signaturePrefix));
  const data = { ...Object.fromEntries(others), ...(await signatures(context, content)) };
  if (deepEqual(data, info.data)) return;
  const next = clone(info);
  next.data = data;
  // A conflict: the ConfigMap has changed, which triggers the key again.
  await ignoreReasons(["NotFound", "Conflict"], client.update(configMaps, next));
}

/** The signatures of all tokens that may sign, by their keys in the ConfigMap. */
async function signatures({ client, clock, log }: ControllerContext, content: string): Promise<Record<string, string>> {
  const made: Record<string, string> = {};
  const { items } = await client.list(secrets, { namespace: tokenNamespace });
  for (const secret of items.filter(isTokenSecret)) {
    try {
      const token = usableToken(secret, "signing", clock.now());
      made[`${signaturePrefix}${token.id}`] = signatureOf(content, token);
    } catch (error) {
      log.debug("a bootstrap token does not sign", { secret: secret.metadata.name, why: messageOf(error) });
    }
  }
  return made;
}
