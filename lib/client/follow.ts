import type { Kind, KubernetesObject } from "#api/meta";
import { type Clock, isReason, type Log, messageOf, sleep } from "#base";
import type { Client, WatchEvent, WatchRequest } from "./port.ts";

/** A change as a follower hears it. */
export type Followed<T> = Exclude<WatchEvent<T>, { type: "BOOKMARK" }>;

export interface FollowOptions<T extends KubernetesObject> extends Omit<WatchRequest, "revision"> {
  client: Client;
  kind: Kind<T>;
  clock: Clock;
  log: Log;
  /**
   * Called for one change after the other. A change counts as told when this has returned: when it throws, the same
   * change comes again after a pause.
   */
  changed(event: Followed<T>): void | Promise<void>;
  /** Called when everything that was there has been told: at the start, and after a gap. */
  whole?(): void;
  /**
   * What to keep of an object, so that its deletion can be told when it happened in a gap (client-go's
   * DeletedFinalStateUnknown). Absent: all of it, which costs nothing where the follower keeps it too.
   */
  remember?(object: T): T;
}

const firstBackoff = 500;
const longestBackoff = 30_000;
const keyOf = ({ metadata }: KubernetesObject): string => `${metadata.namespace ?? ""}/${metadata.name ?? ""}`;

/**
 * Follows a kind until the signal aborts, through every failure: goes on from the last change that was told, and
 * where that is too old begins anew, tells everything that is there as ADDED and what has gone meanwhile as DELETED.
 */
export async function followKind<T extends KubernetesObject>(options: FollowOptions<T>): Promise<void> {
  const { client, kind, clock, log, changed, whole, signal, namespace, labels, fields } = options;
  const remember = options.remember ?? ((object: T) => object);
  const known = new Map<string, T>();
  const request = {
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels ? { labels } : {}),
    ...(fields ? { fields } : {}),
    signal,
  };
  let revision: string | undefined;

  const tell = async (event: Followed<T>): Promise<void> => {
    const key = keyOf(event.object);
    const before = known.get(key);
    if (before && before.metadata.uid !== event.object.metadata.uid) {
      // Another object of the same name: that the first one went was told to nobody.
      await changed({ type: "DELETED", object: before });
      known.delete(key);
    }
    await changed(event);
    if (event.type === "DELETED") known.delete(key);
    else known.set(key, remember(event.object));
  };

  const watchOnce = async (): Promise<void> => {
    const initial = revision === undefined ? new Set<string>() : undefined;
    for await (const event of client.watch(kind, { ...request, ...(revision === undefined ? {} : { revision }) })) {
      if (event.type !== "BOOKMARK") {
        initial?.add(keyOf(event.object));
        await tell(event);
        if (revision !== undefined) revision = event.object.metadata.resourceVersion ?? revision;
        continue;
      }
      if (event.initial && initial) {
        for (const [key, object] of [...known]) {
          if (!initial.has(key)) await tell({ type: "DELETED", object });
        }
        whole?.();
      }
      revision = event.revision;
    }
  };

  let backoff = firstBackoff;
  while (!signal.aborted) {
    const started = clock.now();
    try {
      await watchOnce();
      backoff = firstBackoff;
    } catch (error) {
      if (signal.aborted) return;
      if (isReason(error, "Expired") || isReason(error, "Gone")) {
        revision = undefined;
        continue;
      }
      if (clock.now() - started > longestBackoff) backoff = firstBackoff;
      log.warn("a watch was lost and goes on after a pause", { kind: kind.kind, error: messageOf(error), backoff });
      await sleep(clock, backoff, signal);
      backoff = Math.min(backoff * 2, longestBackoff);
    }
  }
}
