import type { Kind, KubernetesObject } from "#api/meta";
import { type Clock, isReason, type Log, messageOf, sleep } from "#base";
import type { Client, WatchEvent, WatchRequest } from "./port.ts";

/** A change that a follower receives. */
export type Followed<T> = Exclude<WatchEvent<T>, { type: "BOOKMARK" }>;

export interface FollowOptions<T extends KubernetesObject> extends Omit<WatchRequest, "revision"> {
  client: Client;
  kind: Kind<T>;
  clock: Clock;
  log: Log;
  /**
   * Called for each change in order. A change is delivered when this has returned: when it throws, the same change is
   * delivered again after a pause.
   */
  changed(event: Followed<T>): void | Promise<void>;
  /** Called when all existing objects have been delivered: at the start, and after a gap. */
  whole?(): void;
  /**
   * What to remember of an object, to report its deletion in a gap (client-go's DeletedFinalStateUnknown). Defaults to
   * the whole object, which costs nothing where the follower holds it too.
   */
  remember?(object: T): T;
}

const firstBackoff = 500;
const longestBackoff = 30_000;
const keyOf = ({ metadata }: KubernetesObject): string => `${metadata.namespace ?? ""}/${metadata.name ?? ""}`;

/**
 * Follows a kind until the signal aborts, through every failure: continues after the last delivered change, and where
 * that is too old lists again, and delivers all objects as ADDED and those that were deleted meanwhile as DELETED.
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
      // Another object with the same name: the deletion of the first one was not delivered.
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
      log.warn("a watch was lost and resumes after a pause", { kind: kind.kind, error: messageOf(error), backoff });
      await sleep(clock, backoff, signal);
      backoff = Math.min(backoff * 2, longestBackoff);
    }
  }
}
