import type { Kind, KubernetesObject } from "#api/meta";
import { isReason, messageOf } from "#base";
import { followKind } from "#client";
import type { QueueMetrics } from "#metrics";
import { type AnyController, type ControllerContext, reconcileKey } from "./controller.ts";
import { RetryAfter, Terminal } from "./errors.ts";
import { createQueue, type Queue, type QueueObserver } from "./queue.ts";
import { decodeKey, encodeKey, keysOf, type Route, routesOf } from "./route.ts";

/** Running controllers. */
export interface Engine {
  /** Resolves when every watched kind has been read completely once. */
  ready: Promise<void>;
  /** Keys that wait or are being processed. */
  readonly busy: number;
  /** Ends watches and workers. Resolves when the last reconcile has returned. */
  stop(): Promise<void>;
}

interface Running {
  controller: AnyController;
  queue: Queue;
  metrics?: QueueMetrics;
}

const countedBy = (metrics: QueueMetrics, name: string): QueueObserver => ({
  added: (key) => metrics.added(name, key),
  retried: () => metrics.retried(name),
  started: (key) => metrics.started(name, key),
});

/**
 * Runs controllers in this process: one watch per kind serves them all, each has a queue and workers of its own.
 * Watches begin and end with the kinds that the cluster serves.
 */
export function runControllers(
  controllers: readonly AnyController[],
  { metrics, ...context }: Omit<ControllerContext, "signal"> & { metrics?: QueueMetrics },
): Engine {
  const stopped = new AbortController();
  const full: ControllerContext = { ...context, signal: stopped.signal };
  const running: Running[] = controllers.map((controller) => {
    const counted = metrics ? countedBy(metrics, controller.name) : undefined;
    return { controller, queue: createQueue(context.clock, counted), ...(metrics ? { metrics } : {}) };
  });
  const queues = new Map(running.map(({ controller, queue }) => [controller, queue]));
  const feeds = new Feeds(controllers, queues, metrics ? { ...full, panicked: metrics.panicked } : full);
  const workers = running.flatMap((one) => Array.from({ length: one.controller.workers ?? 4 }, () => work(one, full)));
  return {
    ready: feeds.ready(),
    get busy() {
      return running.reduce((sum, { queue }) => sum + queue.busy, 0);
    },
    async stop() {
      stopped.abort();
      for (const { queue } of running) queue.close();
      await Promise.all([...workers, feeds.stop()]);
    },
  };
}

type FeedContext = ControllerContext & Partial<Pick<QueueMetrics, "panicked">>;

interface Feed {
  ready: Promise<void>;
  done: Promise<void>;
  stop(): void;
}

/** One watch for each kind that wakes a controller. */
class Feeds {
  readonly #controllers: readonly AnyController[];
  readonly #queues: ReadonlyMap<AnyController, Queue>;
  readonly #context: FeedContext;
  readonly #feeds = new Map<Kind, Feed>();
  readonly #unsubscribe: () => void;

  constructor(controllers: readonly AnyController[], queues: ReadonlyMap<AnyController, Queue>, context: FeedContext) {
    this.#controllers = controllers;
    this.#queues = queues;
    this.#context = context;
    this.#update();
    this.#unsubscribe = context.served.onChange(() => this.#update());
  }

  /** Starts watches of kinds that are new, and ends those of kinds that the cluster no longer serves. */
  #update(): void {
    const routes = routesOf(this.#controllers, this.#context);
    for (const [kind, feed] of this.#feeds) {
      if (routes.has(kind)) continue;
      feed.stop();
      this.#feeds.delete(kind);
    }
    for (const [kind, list] of routes) {
      if (this.#feeds.has(kind)) continue;
      const targets = list.map((route) => ({ queue: this.#queues.get(route.controller)!, route }));
      this.#feeds.set(kind, startFeed(kind, targets, this.#context));
    }
  }

  async ready(): Promise<void> {
    await Promise.all([...this.#feeds.values()].map(({ ready }) => ready));
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    await Promise.all([...this.#feeds.values()].map(({ done }) => done));
  }
}

/** What is kept of an object to report its deletion after a gap: what routes read, without data and status. */
function essence(object: KubernetesObject & { spec?: unknown }): KubernetesObject {
  const { namespace, name, uid, labels, ownerReferences } = object.metadata;
  const metadata = { namespace, name, uid, labels, ownerReferences };
  return object.spec === undefined ? { metadata } : ({ metadata, spec: object.spec } as KubernetesObject);
}

/** Follows a kind while the engine runs and adds the keys that its changes trigger to the queues. */
function startFeed(kind: Kind, list: readonly { queue: Queue; route: Route }[], context: FeedContext): Feed {
  const { client, clock, log } = context;
  const stopped = new AbortController();
  const signal = AbortSignal.any([context.signal, stopped.signal]);
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
        for (const key of await keysOf(route, event, kind, context)) queue.add(encodeKey(key));
      }
    },
  });
  return { ready: seenWhole.promise, done: done.finally(seenWhole.resolve), stop: () => stopped.abort() };
}

async function work({ controller, queue, metrics }: Running, context: ControllerContext): Promise<void> {
  for (let text = await queue.take(); text !== undefined; text = await queue.take()) {
    let failed = false;
    try {
      const result = await reconcileKey(controller, context, decodeKey(text));
      queue.forget(text);
      if (result?.requeueAfter !== undefined) queue.addAfter(text, result.requeueAfter);
    } catch (error) {
      failed = true;
      settleFailure(controller, queue, text, error, context);
    } finally {
      metrics?.finished(controller.name, text, failed);
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
    log.error("a key is given up after a terminal error", fields);
    return;
  }
  // Conflicts are normal: the next reconcile reads the newer object.
  log[isReason(error, "Conflict") ? "debug" : "warn"]("a key is retried", fields);
  queue.addFailed(key);
}
