import type { Kind } from "#api";
import { type Clock, type Log, type Random, sleep } from "#base";
import type { Client } from "#client";
import { type ControllerOptions, controllers } from "#controllers";
import { createRecorder, type Recorder } from "#events";
import {
  type AnyController,
  type ControllerContext,
  encodeKey,
  type Route,
  reconcileKey,
  routesOf,
  type Work,
  workOf,
} from "#reconcile";
import type { Resources } from "#resources";
import { concernsScheduler, startScheduler } from "#scheduler";
import type { Change } from "#store";

export interface OnDemandOptions {
  resources: Resources;
  /** The clients of the controllers and of the scheduler. */
  managing: Client;
  scheduling: Client;
  clock: Clock;
  random: Random;
  log: Log;
  controllers: ControllerOptions;
}

const settlingPause = 5;

/** Controllers and scheduler for hosts that wake them, one piece of work at a time, and freeze them in between. */
export class OnDemand {
  readonly #options: OnDemandOptions;
  readonly #record: Recorder;
  readonly #recordPlacements: Recorder;
  readonly controllers: readonly AnyController[];
  readonly context: ControllerContext;
  #routes: { revision: number; byKind: Map<Kind, Route[]> } | undefined;

  constructor(options: OnDemandOptions) {
    const { resources, managing, scheduling, clock, random, log } = options;
    const recorder = (client: Client, component: string) => createRecorder({ client, clock, log, component });
    this.#options = options;
    this.#record = recorder(managing, "controller-manager");
    this.#recordPlacements = recorder(scheduling, "default-scheduler");
    this.controllers = controllers(options.controllers);
    const { signal } = new AbortController();
    const served = resources.registry;
    this.context = { client: managing, served, clock, random, log, record: this.#record, signal };
  }

  /** The routes of the kinds that are served now. */
  #currentRoutes(): Map<Kind, Route[]> {
    const { revision } = this.#options.resources.registry;
    if (this.#routes?.revision !== revision) {
      this.#routes = { revision, byKind: routesOf(this.controllers, this.context) };
    }
    return this.#routes.byKind;
  }

  /**
   * The keys that a change concerns. `quick` leaves out those that take reads to find: enqueuing the others early saves
   * time, and the stream delivers all of them.
   */
  async route(type: string, change: Change, how?: "quick"): Promise<Work[]> {
    const { resources } = this.#options;
    const work: Work[] = [];
    for (const { type: stored, kind } of resources.registry.resources) {
      const all = stored === type ? (this.#currentRoutes().get(kind) ?? []) : [];
      const routes = how === "quick" ? all.filter(({ plain }) => plain) : all;
      if (routes.length === 0) continue;
      work.push(...(await workOf(routes, resources.event(kind, change), kind, this.context)));
    }
    return work;
  }

  /** Whether a change may let the scheduler place a pod. */
  places(type: string, change: Change): boolean {
    const { resources } = this.#options;
    return resources.registry.resources.some(
      ({ type: stored, kind }) => stored === type && concernsScheduler(kind, resources.event(kind, change)),
    );
  }

  /** Reconciles every object of the controllers with `everyMinute`. A failure does not keep the others from it. */
  async everyMinute(): Promise<void> {
    const { log } = this.#options;
    for (const controller of this.controllers.filter(({ everyMinute }) => everyMinute)) {
      for (const { key } of await this.#keysOf(controller)) {
        await reconcileKey(controller, this.context, key).catch((error: unknown) => {
          log.warn("a periodic reconcile failed and is tried again in a minute", { ...key, error });
        });
      }
    }
  }

  async #keysOf({ name, for: kind }: AnyController): Promise<Work[]> {
    if (!kind) return [];
    const { items } = await this.#options.managing.list(kind as Kind);
    return items.map(({ metadata }) => ({
      controller: name,
      key: { namespace: metadata.namespace, name: metadata.name ?? "" },
    }));
  }

  /** The keys of all objects, as at the start of the engine: for resyncs. */
  async everything(): Promise<Work[]> {
    const work = new Map<string, Work>();
    for (const [kind, routes] of this.#currentRoutes()) {
      const { items } = await this.#options.managing.list(kind);
      for (const object of items) {
        for (const each of await workOf(routes, { type: "ADDED", object }, kind, this.context)) {
          work.set(`${each.controller} ${encodeKey(each.key)}`, each);
        }
      }
    }
    return [...work.values()];
  }

  /** Places the pending pods. Resolves when no more can be placed now; rejects when a binding failed. */
  async schedule(fence: () => Promise<void>): Promise<void> {
    const { scheduling, clock, random, log } = this.#options;
    const record = this.#recordPlacements;
    const scheduler = startScheduler({ client: scheduling, clock, random, log, record, fence });
    try {
      await scheduler.ready;
      while (scheduler.busy > 0) await sleep(clock, settlingPause);
      if (scheduler.failures > 0) throw new Error(`${scheduler.failures} pods could not be bound`);
    } finally {
      await scheduler.stop();
    }
  }

  /** Resolves when all recorded events are stored. */
  async settled(): Promise<void> {
    await Promise.all([this.#record.settled(), this.#recordPlacements.settled()]);
  }
}
