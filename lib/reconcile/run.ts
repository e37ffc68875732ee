import type { Kind, KubernetesObject } from "#api/meta";
import { apiVersionOf } from "#api/meta";
import { messageOf } from "#base";
import { followKind } from "#client";
import type { AnyController, ControllerContext, Key, Seen } from "./controller.ts";
import { RetryAfter, Terminal } from "./errors.ts";
import { createQueue, type Queue } from "./queue.ts";

/** Controllers at work. */
export interface Engine {
  /** Resolves when every watched kind has been seen whole once. */
  ready: Promise<void>;
  /** Keys that wait or are worked on. */
  readonly busy: number;
  /** Ends the watches and the workers; resolves when the last reconcile has returned. */
  stop(): Promise<void>;
}

const separator = "/";
const encodeKey = ({ namespace, name }: Key): string => `${namespace ?? ""}${separator}${name}`;
function decodeKey(text: string): Key {
  const at = text.indexOf(separator);
  return { ...(at === 0 ? {} : { namespace: text.slice(0, at) }), name: text.slice(at + 1) };
}

interface Running {
  controller: AnyController;
  queue: Queue;
}

/** What a change of a kind means to one controller. */
type Route = (seen: Seen<KubernetesObject>) => Iterable<Key> | Promise<Iterable<Key>>;

const keyOf = ({ metadata }: KubernetesObject): Key => ({ namespace: metadata.namespace, name: metadata.name ?? "" });

/** The owner that controls an object, where it is of this kind. */
function ownerKey(kind: Kind, object: KubernetesObject): Key[] {
  const owner = object.metadata.ownerReferences?.find(({ controller }) => controller);
  if (!owner || owner.kind !== kind.kind || owner.apiVersion !== apiVersionOf(kind)) return [];
  return [{ namespace: object.metadata.namespace, name: owner.name }];
}

/** Which controllers a kind's changes wake, and with which keys. */
function routesOf(controller: AnyController, context: ControllerContext): Map<Kind, Route[]> {
  const routes = new Map<Kind, Route[]>();
  const add = (kind: Kind, route: Route) => routes.set(kind, [...(routes.get(kind) ?? []), route]);
  add(controller.for as Kind, (seen) => (controller.concerns?.(seen) === false ? [] : [keyOf(seen.object)]));
  for (const kind of controller.owns ?? []) {
    add(kind, ({ object, previous }) => [
      ...ownerKey(controller.for as Kind, object),
      ...(previous ? ownerKey(controller.for as Kind, previous) : []),
    ]);
  }
  for (const watched of controller.watches ?? []) add(watched.kind, (seen) => watched.keys(seen, context));
  return routes;
}

/** Runs controllers in this process: one watch per kind serves them all, each has a queue and workers of its own. */
export function runControllers(
  controllers: readonly AnyController[],
  context: Omit<ControllerContext, "signal">,
): Engine {
  const stopped = new AbortController();
  const full: ControllerContext = { ...context, signal: stopped.signal };
  const running: Running[] = controllers.map((controller) => ({ controller, queue: createQueue(context.clock) }));
  const routes = new Map<Kind, { queue: Queue; route: Route }[]>();
  for (const { controller, queue } of running) {
    for (const [kind, list] of routesOf(controller, full)) {
      routes.set(kind, [...(routes.get(kind) ?? []), ...list.map((route) => ({ queue, route }))]);
    }
  }
  const feeds = [...routes].map(([kind, list]) => feed(kind, list, full));
  const workers = running.flatMap((one) => Array.from({ length: one.controller.workers ?? 4 }, () => work(one, full)));
  return {
    ready: Promise.all(feeds.map(({ ready }) => ready)).then(() => {}),
    get busy() {
      return running.reduce((sum, { queue }) => sum + queue.busy, 0);
    },
    async stop() {
      stopped.abort();
      for (const { queue } of running) queue.close();
      await Promise.all([...workers, ...feeds.map(({ done }) => done)]);
    },
  };
}

/** What is kept of an object to tell its deletion after a gap: what routes look at, not data and status. */
function essence(object: KubernetesObject & { spec?: unknown }): KubernetesObject {
  const { namespace, name, uid, labels, ownerReferences } = object.metadata;
  const metadata = { namespace, name, uid, labels, ownerReferences };
  return object.spec === undefined ? { metadata } : ({ metadata, spec: object.spec } as KubernetesObject);
}

/** Follows a kind for as long as the engine runs and puts the keys that its changes concern into the queues. */
function feed(kind: Kind, list: readonly { queue: Queue; route: Route }[], context: ControllerContext) {
  const { client, clock, log, signal } = context;
  const seenWhole = Promise.withResolvers<void>();
  const done = followKind({
    client,
    kind,
    clock,
    log,
    signal,
    remember: essence,
    whole: seenWhole.resolve,
    changed: async (event) => {
      for (const { queue, route } of list) {
        for (const key of await route(event)) queue.add(encodeKey(key));
      }
    },
  });
  return { ready: seenWhole.promise, done: done.finally(seenWhole.resolve) };
}

async function work({ controller, queue }: Running, context: ControllerContext): Promise<void> {
  for (let text = await queue.take(); text !== undefined; text = await queue.take()) {
    try {
      const result = await controller.reconcile(context, decodeKey(text));
      queue.forget(text);
      if (result?.requeueAfter !== undefined) queue.addAfter(text, result.requeueAfter);
    } catch (error) {
      settleFailure(controller, queue, text, error, context);
    } finally {
      queue.done(text);
    }
  }
}

function settleFailure(
  controller: AnyController,
  queue: Queue,
  key: string,
  error: unknown,
  { log, signal }: ControllerContext,
): void {
  if (signal.aborted) return;
  if (error instanceof RetryAfter) {
    queue.addAfter(key, error.milliseconds);
    return;
  }
  const fields = { controller: controller.name, key, error: messageOf(error) };
  if (error instanceof Terminal) {
    queue.forget(key);
    log.error("a controller gave a key up", fields);
    return;
  }
  // Losing a race is everyday life: the next look will be at the newer object.
  log[messageOf(error).includes("object has been modified") ? "debug" : "warn"](
    "a controller tries a key again",
    fields,
  );
  queue.addFailed(key);
}
