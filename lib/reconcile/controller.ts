import type { Kind, KubernetesObject } from "#api/meta";
import { type Clock, isApiError, type Log, messageOf, type Random } from "#base";
import type { Client, ObjectName } from "#client";
import { RetryAfter, Terminal } from "./errors.ts";

/** The name of the object that is to be looked at, and nothing else: what happened does not count, only what is. */
export type Key = ObjectName;

export interface Result {
  /** Look again after this many milliseconds, whatever happens meanwhile. */
  requeueAfter?: number;
}

/**
 * Tells people about an object: an Event, counted instead of repeated. Never rejects, never waits. `component` is who
 * tells, for whoever speaks for others.
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

/** A change of a kind that a controller looks at, as its key function sees it. */
export interface ObjectEvent<T extends KubernetesObject> {
  type: "ADDED" | "MODIFIED" | "DELETED";
  object: T;
  /** How the object stood before, where it is known. */
  readonly previous?: T;
}

/** Another kind whose changes concern this controller, and whose keys they concern. */
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
  /** What events name as their source, where upstream's word for it is not `<name>-controller`. */
  component?: string;
  /** The kind whose objects the keys name. Absent where keys name objects of several kinds. */
  for?: Kind<T>;
  /** Leaves out changes that cannot matter; without it every change of an object wakes its key. */
  concerns?(seen: ObjectEvent<T>): boolean;
  /** Kinds whose objects have one of `for` as controller: their changes wake the owner. */
  owns?: readonly Kind[];
  watches?: readonly Watched[];
  watchesKinds?: WatchedKinds;
  /**
   * Where nothing runs between changes, the clock's tick looks at every object of `for` once a minute; such a
   * controller asks for no `requeueAfter`.
   */
  everyMinute?: boolean;
  /** How many keys are worked on at once; 4 unless told. */
  workers?: number;
  /**
   * Makes what is agree with what is wanted for one key, however it got there. Reads and writes through the client;
   * must be safe to run again after a crash at any point. A throw means back off, Terminal means stop.
   */
  reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> | Promise<void>;
}

/**
 * Runs a controller for one key; its events name it as their source. An error that the API has not answered with is
 * also an event about the object: it is a fault in the controller or in what it calls, and the user cannot see logs.
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
    // Of an object with a time that cannot be read: without this the key would come again at once, for ever.
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
  // Some keys name no object of the controller's kind, and an object may have gone: then the log has to do.
  const object = kind && (await client.get(kind as Kind, key).catch(() => undefined));
  if (!object) return;
  record({ kind, object }, "Warning", "ReconcileError", `the controller ${name} failed: ${messageOf(error)}`);
}

/** A controller of any kind, as lists hold it. */
// biome-ignore lint/suspicious/noExplicitAny: the kinds of a list differ, and each controller sees only its own
export type AnyController = Controller<any>;

export const defineController = <T extends KubernetesObject>(controller: Controller<T>): Controller<T> => controller;

/** A watch on another kind, checked against that kind's type. */
export const watching = <T extends KubernetesObject>(kind: Kind<T>, keys: Watched<T>["keys"]): Watched =>
  ({ kind, keys }) as unknown as Watched;
