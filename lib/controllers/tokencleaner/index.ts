/** Deletes bootstrap tokens when they expire (upstream's token-cleaner-controller). */
import { type Secret, secrets } from "#api";
import { ignoreNotFound, ignoreReasons } from "#base";
import { expiryOf, isTokenSecret } from "#bootstrap-tokens";
import { type ControllerContext, defineController, type Key, type Result } from "#reconcile";

/** The longest wait in milliseconds: timers are limited. */
const longestWait = 24 * 60 * 60_000;

export const tokenCleanerController = defineController<Secret>({
  name: "tokencleaner",
  for: secrets,
  concerns: ({ object }) => isTokenSecret(object),
  reconcile,
});

async function reconcile({ client, clock }: ControllerContext, key: Key): Promise<Result | undefined> {
  const secret = await ignoreNotFound(client.get(secrets, key));
  const expiry = secret && isTokenSecret(secret) ? expiryOf(secret) : undefined;
  if (!secret || expiry === undefined) return undefined;
  const left = expiry - clock.now();
  if (left > 0) return { requeueAfter: Math.min(left, longestWait) };
  const { uid, resourceVersion: revision } = secret.metadata;
  // If its time has been extended meanwhile, that change triggers the key again.
  await ignoreReasons(["NotFound", "Conflict"], client.delete(secrets, key, { uid, revision }));
  return undefined;
}
