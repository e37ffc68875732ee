/** Deletes events an hour after their last write, as upstream's storage does by a lease. */
import { type Event, events, type KubernetesObject } from "#api";
import { ignoreNotFound, ignoreReasons, parseTime } from "#base";
import { type ControllerContext, defineController, type Key, type Result } from "#reconcile";

export const eventTtlController = defineController<Event>({ name: "event-ttl", for: events, reconcile });

/** When the event was last written, by its own timestamps. */
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
  const object = await ignoreNotFound(client.get(events, key));
  if (!object) return undefined;
  const left = lastWritten(object) + events.lifetime! - clock.now();
  if (left > 0) return { requeueAfter: left };
  // If it was written meanwhile, it stays, and that write triggers this key again.
  const revision = object.metadata.resourceVersion;
  await ignoreReasons(["NotFound", "Conflict"], client.delete(events, key, { uid: object.metadata.uid, revision }));
  return undefined;
}
