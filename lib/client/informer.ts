import type { KubernetesObject } from "#api/meta";
import { type FollowOptions, followKind } from "./follow.ts";
import type { ObjectName } from "./port.ts";

export interface InformerOptions<T extends KubernetesObject>
  extends Omit<FollowOptions<T>, "signal" | "changed" | "whole" | "remember"> {
  /** Called for every change, also for those that were missed while the connection was lost. */
  changed?(change: { type: "ADDED" | "MODIFIED" | "DELETED"; object: T; previous?: T }): void;
}

/** A local view of the objects of a kind, kept by list and watch. */
export interface Informer<T extends KubernetesObject> {
  /** Resolves after the first complete list. */
  ready: Promise<void>;
  get(name: ObjectName): T | undefined;
  all(): Iterable<T>;
  stop(): Promise<void>;
}

const keyOf = (namespace: string | undefined, name: string | undefined): string => `${namespace ?? ""}/${name ?? ""}`;

/** Starts an informer. When a watch ends it continues after the last change, and lists again where that is too old. */
export function startInformer<T extends KubernetesObject>(options: InformerOptions<T>): Informer<T> {
  const { changed, ...followed } = options;
  const stopped = new AbortController();
  const objects = new Map<string, T>();
  const whole = Promise.withResolvers<void>();

  const set = (key: string, object: T): void => {
    const previous = objects.get(key);
    if (previous?.metadata.resourceVersion === object.metadata.resourceVersion) return;
    objects.set(key, object);
    changed?.(previous ? { type: "MODIFIED", object, previous } : { type: "ADDED", object });
  };
  const running = followKind({
    ...followed,
    signal: stopped.signal,
    whole: whole.resolve,
    changed: ({ type, object }) => {
      const key = keyOf(object.metadata.namespace, object.metadata.name);
      if (type !== "DELETED") set(key, object);
      else if (objects.delete(key)) changed?.({ type, object });
    },
  });
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
