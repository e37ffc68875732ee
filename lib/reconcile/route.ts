import type { Kind, KubernetesObject } from "#api/meta";
import { apiVersionOf, controllerOf } from "#api/meta";
import { isApiError, messageOf } from "#base";
import type { AnyController, ControllerContext, Key, ObjectEvent } from "./controller.ts";

/** A key for one controller. */
export interface Work {
  /** The controller's name. */
  controller: string;
  key: Key;
}

/** The keys of one controller that a change of a kind triggers. */
export interface Route {
  controller: AnyController;
  /** Whether the keys can be derived from the changed object alone, without reading others. */
  plain: boolean;
  keys(seen: ObjectEvent<KubernetesObject>): Iterable<Key> | Promise<Iterable<Key>>;
}

const separator = "/";
/** A key as text. */
export const encodeKey = ({ namespace, name }: Key): string => `${namespace ?? ""}${separator}${name}`;
/** The key in what `encodeKey` made. */
export function decodeKey(text: string): Key {
  const at = text.indexOf(separator);
  return { ...(at === 0 ? {} : { namespace: text.slice(0, at) }), name: text.slice(at + 1) };
}

const keyOf = ({ metadata }: KubernetesObject): Key => ({ namespace: metadata.namespace, name: metadata.name ?? "" });

/** The key of the controller of an object, if it is of this kind. */
function ownerKey(kind: Kind, object: KubernetesObject): Key[] {
  const owner = controllerOf(object);
  if (!owner || owner.kind !== kind.kind || owner.apiVersion !== apiVersionOf(kind)) return [];
  return [{ namespace: object.metadata.namespace, name: owner.name }];
}

/** The kinds that controllers name themselves. Others matter to them only while the cluster serves them. */
export function namedKinds(controllers: readonly AnyController[]): Set<Kind> {
  const kinds = controllers.flatMap(({ for: own, owns = [], watches = [] }) => [
    ...(own ? [own as Kind] : []),
    ...owns,
    ...watches.map(({ kind }) => kind),
  ]);
  return new Set(kinds);
}

/** The controllers that a kind's changes wake, and the keys of each. */
export function routesFor(kind: Kind, controllers: readonly AnyController[], context: ControllerContext): Route[] {
  const routes: Route[] = [];
  for (const controller of controllers) {
    const add = (keys: Route["keys"], plain = true) => routes.push({ controller, plain, keys });
    const own = controller.for as Kind | undefined;
    if (own === kind) add((event) => (controller.concerns?.(event) === false ? [] : [keyOf(event.object)]));
    if (own && controller.owns?.includes(kind)) {
      add(({ object, previous }) => [...ownerKey(own, object), ...(previous ? ownerKey(own, previous) : [])]);
    }
    for (const watched of controller.watches ?? []) {
      if (watched.kind === kind) add((event) => watched.keys(event, context), false);
    }
    const { watchesKinds: all } = controller;
    if (all?.includes(kind)) add((event) => all.keys(kind, event, context), false);
  }
  return routes;
}

/** The routes of every kind that wakes a controller at this moment. */
export function routesOf(controllers: readonly AnyController[], context: ControllerContext): Map<Kind, Route[]> {
  const kinds = new Set([...namedKinds(controllers), ...context.served.kinds]);
  const all = [...kinds].map((kind): [Kind, Route[]] => [kind, routesFor(kind, controllers, context)]);
  return new Map(all.filter(([, routes]) => routes.length > 0));
}

/**
 * The keys of one controller that a change triggers. Where the controller's own code throws on an object, that object
 * is skipped with a log line and an event; all other objects are processed as before. Throws the client's errors: then
 * the change must be delivered again.
 */
export async function keysOf(
  { controller, keys }: Route,
  seen: ObjectEvent<KubernetesObject>,
  kind: Kind,
  { log, record, panicked }: Pick<ControllerContext, "log" | "record"> & { panicked?: (controller: string) => void },
): Promise<Iterable<Key>> {
  try {
    return await keys(seen);
  } catch (error) {
    if (isApiError(error)) throw error;
    const { namespace, name } = seen.object.metadata;
    const fields = { controller: controller.name, kind: kind.kind, namespace, name, error: messageOf(error) };
    log.error("a controller failed to process a change", fields);
    panicked?.(controller.name);
    const message = `the controller ${controller.name} failed to process this object: ${messageOf(error)}`;
    record({ kind, object: seen.object }, "Warning", "ControllerError", message);
    return [];
  }
}

/** The work that one change triggers, each key once. */
export async function workOf(
  routes: readonly Route[],
  seen: ObjectEvent<KubernetesObject>,
  kind: Kind,
  context: Pick<ControllerContext, "log" | "record">,
): Promise<Work[]> {
  const work = new Map<string, Work>();
  for (const route of routes) {
    const { controller } = route;
    for (const key of await keysOf(route, seen, kind, context)) {
      work.set(`${controller.name}${separator}${encodeKey(key)}`, { controller: controller.name, key });
    }
  }
  return [...work.values()];
}
