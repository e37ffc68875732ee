/** Deletes objects of kinds that live for a limited time, such as events an hour after they were last written. */
import { catalog, type Event, type Kind, type KubernetesObject } from "#api";
import { ignoreNotFound, ignoreReasons, parseTime } from "#base";
import { type ControllerContext, defineController, type Key, type Result } from "#reconcile";

/** The one kind that has a lifetime and is stored in its own form. */
const expiringKind = catalog.find((kind) => kind.lifetime !== undefined && !kind.stored) as Kind<Event>;

export const eventTtlController = defineController<Event>({ name: "event-ttl", for: expiringKind, reconcile });

/** When the object was last written, as it says itself. */
function lastWritten(object: KubernetesObject & Partial<Event>): number {
  const times = [
    object.metadata.creationTimestamp,
    object.lastTimestamp,
    object.eventTime,
    object.series?.lastObservedTime,
  ];
  return Math.max(...times.filter((time) => time !== undefined).map(parseTime));
}

async function reconcile({ client, clock }: ControllerContext, key: Key): Promise<Result | undefined> {
  const object = await ignoreNotFound(client.get(expiringKind, key));
  if (!object) return undefined;
  const left = lastWritten(object) + expiringKind.lifetime! - clock.now();
  if (left > 0) return { requeueAfter: left };
  // Written meanwhile: it lives on, and that write wakes this key again.
  const revision = object.metadata.resourceVersion;
  await ignoreReasons(
    ["NotFound", "Conflict"],
    client.remove(expiringKind, key, { uid: object.metadata.uid, revision }),
  );
  return undefined;
}
