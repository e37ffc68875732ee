import type { Kind, KubernetesObject } from "#api/meta";
import { type Clock, isApiError, type Log, messageOf, type Random } from "#base";
import type { Client, ObjectName } from "#client";
import { RetryAfter, Terminal } from "./errors.ts";

/** The name of the object to reconcile, and nothing else: only the current state counts, not what happened. */
export type Key = ObjectName;

export interface Result {
  /** Reconcile again after this many milliseconds, whatever happens meanwhile. */
  requeueAfter?: number;
}

/**
 * Records an Event about an object; repeats increase its count. Never rejects and never waits. `component` overrides
 * the reporting component.
 */
export type Recorder = (
  about: { kind: Kind; object: KubernetesObject },
  type: "Normal" | "Warning",
  reason: string,
  message: string,
  component?: string,
) => void;

/** The kinds that the cluster serves. They change while it runs. */
export interface ServedKinds {
  readonly kinds: readonly Kind[];
  /** Calls `listener` after every change. Returns the function that ends this. */
  onChange(listener: () => void): () => void;
}

export interface ControllerContext {
  client: Client;
  served: ServedKinds;
  clock: Clock;
  random: Random;
  log: Log;
  record: Recorder;
  signal: AbortSignal;
}

/** A change of an object, as controllers receive it. */
export interface ObjectEvent<T extends KubernetesObject> {
  type: "ADDED" | "MODIFIED" | "DELETED";
  object: T;
  /** The object before the change, where it is known. */
  readonly previous?: T;
}

/** Another kind whose changes trigger this controller, and the keys that they trigger. */
export interface Watched<T extends KubernetesObject = KubernetesObject> {
  kind: Kind<T>;
  keys(seen: ObjectEvent<T>, context: ControllerContext): Iterable<Key> | Promise<Iterable<Key>>;
}

/** All kinds with a property, also those that the cluster serves later. */
export interface WatchedKinds {
  includes(kind: Kind): boolean;
  keys(
    kind: Kind,
    event: ObjectEvent<KubernetesObject>,
    context: ControllerContext,
  ): Iterable<Key> | Promise<Iterable<Key>>;
}

export interface Controller<T extends KubernetesObject = KubernetesObject> {
  /** Equal to its folder. */
  name: string;
  /** The source of events, where upstream's is not `<name>-controller`. */
  component?: string;
  /** The kind whose objects the keys name. Absent where keys name objects of several kinds. */
  for?: Kind<T>;
  /** Filters out changes that cannot matter. Default: every change of an object triggers its key. */
  concerns?(seen: ObjectEvent<T>): boolean;
  /** Kinds whose objects have an object of `for` as their controller: their changes trigger the owner. */
  owns?: readonly Kind[];
  watches?: readonly Watched[];
  watchesKinds?: WatchedKinds;
  /**
   * Where no process runs between changes, every object of `for` is reconciled once a minute; such a controller returns
   * no `requeueAfter`.
   */
  everyMinute?: boolean;
  /** How many keys are processed at once. Default: 4. */
  workers?: number;
  /**
   * Brings the actual state to the desired state for one key. Reads and writes through the client, and must be safe to
   * run again after a crash at any point. A rejection is retried with backoff, Terminal is not.
   */
  reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> | Promise<void>;
}

/**
 * Runs a controller for one key, with the controller as the source of events. An error that is not the API's is also
 * recorded as an event about the object: it is a fault of the controller or of what it calls, and users cannot read
 * logs.
 */
export async function reconcileKey(
  controller: AnyController,
  context: ControllerContext,
  key: Key,
): Promise<Result | undefined> {
  const { name, component = `${name}-controller` } = controller;
  const record: Recorder = (about, type, reason, message, other = component) =>
    context.record(about, type, reason, message, other);
  const own = { ...context, record };
  try {
    const result = (await controller.reconcile(own, key)) ?? undefined;
    // Caused by an object with a malformed time; without this check the key would be retried at once, for ever.
    if (Number.isNaN(result?.requeueAfter)) throw new Error("requeueAfter is not a number");
    return result;
  } catch (error) {
    if (!isExpected(error) && !context.signal.aborted) await recordFailure(controller, own, key, error);
    throw error;
  }
}

const isExpected = (error: unknown): boolean =>
  isApiError(error) || error instanceof RetryAfter || error instanceof Terminal;

async function recordFailure(
  { name, for: kind }: AnyController,
  { client, record }: ControllerContext,
  key: Key,
  error: unknown,
): Promise<void> {
  // Some keys name no object of the controller's kind, and an object may have been deleted: then only the log reports
  // it.
  const object = kind && (await client.get(kind as Kind, key).catch(() => undefined));
  if (!object) return;
  record({ kind, object }, "Warning", "ReconcileError", `the controller ${name} failed: ${messageOf(error)}`);
}

/** A controller of any kind, for lists. */
// biome-ignore lint/suspicious/noExplicitAny: the kinds of a list differ, and each controller sees only its own
export type AnyController = Controller<any>;

export const defineController = <T extends KubernetesObject>(controller: Controller<T>): Controller<T> => controller;

/** A watch on another kind, checked against its type. */
export const watching = <T extends KubernetesObject>(kind: Kind<T>, keys: Watched<T>["keys"]): Watched =>
  ({ kind, keys }) as unknown as Watched;
