import type { Kind, KubernetesObject } from "#api/meta";
import { type Clock, isReason, type Log, messageOf, sleep } from "#base";
import type { Client, ObjectName, WatchRequest } from "./port.ts";

export interface InformerOptions<T extends KubernetesObject> extends Omit<WatchRequest, "signal" | "revision"> {
  client: Client;
  kind: Kind<T>;
  clock: Clock;
  log: Log;
  /** Called for every difference between what was known and what is; also after the connection was lost. */
  changed?(change: { type: "ADDED" | "MODIFIED" | "DELETED"; object: T; previous?: T }): void;
}

/** A local view of the objects of a kind, kept by list and watch. */
export interface Informer<T extends KubernetesObject> {
  /** Resolves when the view has been whole once. */
  ready: Promise<void>;
  get(name: ObjectName): T | undefined;
  all(): Iterable<T>;
  stop(): Promise<void>;
}

const firstBackoff = 500;
const longestBackoff = 30_000;
const keyOf = (namespace: string | undefined, name: string | undefined): string => `${namespace ?? ""}/${name ?? ""}`;

/** Starts an informer. It watches again from where it was when a watch ends, and from scratch when that is too old. */
export function startInformer<T extends KubernetesObject>(options: InformerOptions<T>): Informer<T> {
  const { client, kind, clock, log, changed, namespace, labels, fields } = options;
  const stopped = new AbortController();
  const objects = new Map<string, T>();
  const whole = Promise.withResolvers<void>();
  const request = {
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels ? { labels } : {}),
    ...(fields ? { fields } : {}),
  };
  let revision: string | undefined;

  const set = (object: T): void => {
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const previous = objects.get(key);
    if (previous?.metadata.resourceVersion === object.metadata.resourceVersion) return;
    objects.set(key, object);
    if (!previous) changed?.({ type: "ADDED", object });
    else if (previous.metadata.uid === object.metadata.uid) changed?.({ type: "MODIFIED", object, previous });
    else {
      changed?.({ type: "DELETED", object: previous });
      changed?.({ type: "ADDED", object });
    }
  };
  const drop = (object: T): void => {
    if (objects.delete(keyOf(object.metadata.namespace, object.metadata.name))) changed?.({ type: "DELETED", object });
  };

  const watchOnce = async (): Promise<void> => {
    const initial = revision === undefined ? new Set<string>() : undefined;
    const from = revision === undefined ? {} : { revision };
    for await (const event of client.watch(kind, { ...request, ...from, signal: stopped.signal })) {
      if (event.type === "BOOKMARK") {
        revision = event.revision;
        if (!event.initial || !initial) continue;
        // What was known and did not come again has gone while nobody looked.
        for (const [key, object] of [...objects]) if (!initial.has(key)) drop(object);
        whole.resolve();
        continue;
      }
      const { object } = event;
      initial?.add(keyOf(object.metadata.namespace, object.metadata.name));
      if (event.type === "DELETED") drop(object);
      else set(object);
      if (revision !== undefined && object.metadata.resourceVersion) revision = object.metadata.resourceVersion;
    }
  };

  const run = async (): Promise<void> => {
    let backoff = firstBackoff;
    while (!stopped.signal.aborted) {
      const started = clock.now();
      try {
        await watchOnce();
        backoff = firstBackoff;
      } catch (error) {
        if (stopped.signal.aborted) break;
        if (isReason(error, "Expired") || isReason(error, "Gone")) {
          revision = undefined;
          continue;
        }
        if (clock.now() - started > longestBackoff) backoff = firstBackoff;
        log.warn("a watch was lost and starts again", { kind: kind.kind, error: messageOf(error), backoff });
        await sleep(clock, backoff, stopped.signal);
        backoff = Math.min(backoff * 2, longestBackoff);
      }
    }
  };

  const running = run();
  return {
    ready: whole.promise,
    get: (name) => objects.get(keyOf(name.namespace, name.name)),
    all: () => objects.values(),
    async stop() {
      stopped.abort();
      whole.resolve();
      await running;
    },
  };
}
