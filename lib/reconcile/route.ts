import type { Kind, KubernetesObject } from "#api/meta";
import { apiVersionOf, controllerOf } from "#api/meta";
import { isApiError, messageOf } from "#base";
import type { AnyController, ControllerContext, Key, Seen } from "./controller.ts";

/** A key for one controller. */
export interface Work {
  /** The controller's name. */
  controller: string;
  key: Key;
}

/** What a change of a kind means to one controller. */
export interface Route {
  controller: AnyController;
  /** Whether the keys stand in the objects themselves; others take reading. */
  plain: boolean;
  keys(seen: Seen<KubernetesObject>): Iterable<Key> | Promise<Iterable<Key>>;
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

/** The owner that controls an object, where it is of this kind. */
function ownerKey(kind: Kind, object: KubernetesObject): Key[] {
  const owner = controllerOf(object);
  if (!owner || owner.kind !== kind.kind || owner.apiVersion !== apiVersionOf(kind)) return [];
  return [{ namespace: object.metadata.namespace, name: owner.name }];
}

/** Which controllers each kind's changes wake, and with which keys. */
export function routesOf(controllers: readonly AnyController[], context: ControllerContext): Map<Kind, Route[]> {
  const routes = new Map<Kind, Route[]>();
  for (const controller of controllers) {
    const add = (kind: Kind, keys: Route["keys"], plain = true) =>
      routes.set(kind, [...(routes.get(kind) ?? []), { controller, plain, keys }]);
    const own = controller.for as Kind;
    add(own, (seen) => (controller.concerns?.(seen) === false ? [] : [keyOf(seen.object)]));
    for (const kind of controller.owns ?? []) {
      add(kind, ({ object, previous }) => [...ownerKey(own, object), ...(previous ? ownerKey(own, previous) : [])]);
    }
    for (const watched of controller.watches ?? []) {
      add(watched.kind, (seen) => watched.keys(seen, context), false);
    }
  }
  return routes;
}

/**
 * The keys that a change means to one controller. Where the controller's own code throws on an object, that object is
 * passed over, which a log line and an event say: every other object is seen as before. Throws what the client throws:
 * then the change must come again.
 */
export async function keysOf(
  { controller, keys }: Route,
  seen: Seen<KubernetesObject>,
  kind: Kind,
  { log, record, panicked }: Pick<ControllerContext, "log" | "record"> & { panicked?: (controller: string) => void },
): Promise<Iterable<Key>> {
  try {
    return await keys(seen);
  } catch (error) {
    if (isApiError(error)) throw error;
    const { namespace, name } = seen.object.metadata;
    const fields = { controller: controller.name, kind: kind.kind, namespace, name, error: messageOf(error) };
    log.error("a controller could not take an object in", fields);
    panicked?.(controller.name);
    const message = `the controller ${controller.name} could not take this object in: ${messageOf(error)}`;
    record({ kind, object: seen.object }, "Warning", "ControllerError", message);
    return [];
  }
}

/** The work that one change makes, each key once. */
export async function workOf(
  routes: readonly Route[],
  seen: Seen<KubernetesObject>,
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
