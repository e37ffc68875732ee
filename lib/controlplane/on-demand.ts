import { type Clock, type Log, type Random, sleep } from "#base";
import type { Client } from "#client";
import { type ControllerOptions, controllers } from "#controllers";
import { createRecorder } from "#events";
import {
  type AnyController,
  type ControllerContext,
  encodeKey,
  reconcileKey,
  routesOf,
  type Work,
  workOf,
} from "#reconcile";
import type { Resources } from "#resources";
import { concernsScheduler, startScheduler } from "#scheduler";
import type { Change } from "#store";

/** Controllers and scheduler for hosts that wake them, one thing at a time, and are frozen in between. */
export interface OnDemand {
  controllers: readonly AnyController[];
  context: ControllerContext;
  /**
   * The keys that a change makes work of. `quick` leaves out those that take reading to find: what is sent early saves
   * time, the stream tells of everything.
   */
  route(type: string, change: Change, how?: "quick"): Promise<Work[]>;
  /** Whether a change may let a pod be placed. */
  places(type: string, change: Change): boolean;
  /** Looks at every object of the controllers that must look once a minute. One that fails does not keep the others. */
  everyMinute(): Promise<void>;
  /** The keys that everything which is there makes work of, as when the engine starts: for resyncs. */
  everything(): Promise<Work[]>;
  /** Places the pods that wait. Resolves when nothing can be done for the moment; rejects when a binding failed. */
  schedule(fence: () => Promise<void>): Promise<void>;
  /** Resolves when everything that was told as events is written. */
  settled(): Promise<void>;
}

export interface OnDemandOptions {
  resources: Resources;
  /** As whom the controllers and the scheduler act. */
  managing: Client;
  scheduling: Client;
  clock: Clock;
  random: Random;
  log: Log;
  controllers: ControllerOptions;
}

const settlingPause = 5;

export function onDemand(options: OnDemandOptions): OnDemand {
  const { resources, managing, scheduling, clock, random, log } = options;
  const { registry } = resources;
  const recorder = (client: Client, component: string) => createRecorder({ client, clock, log, component });
  const record = recorder(managing, "controller-manager");
  const recordPlaces = recorder(scheduling, "default-scheduler");
  const { signal } = new AbortController();
  const list = controllers(options.controllers);
  const context: ControllerContext = { client: managing, served: registry, clock, random, log, record, signal };
  let known: { revision: number; routes: ReturnType<typeof routesOf> } | undefined;
  /** The routes of the kinds that are served now. */
  const routes = () => {
    if (known?.revision !== registry.revision) {
      known = { revision: registry.revision, routes: routesOf(list, context) };
    }
    return known.routes;
  };
  const keysOf = async (controller: AnyController): Promise<Work[]> => {
    if (!controller.for) return [];
    const { items } = await managing.list(controller.for);
    return items.map(({ metadata }) => ({
      controller: controller.name,
      key: { namespace: metadata.namespace, name: metadata.name ?? "" },
    }));
  };
  return {
    controllers: list,
    context,
    async route(type, change, how) {
      const work: Work[] = [];
      for (const resource of registry.resources) {
        const all = resource.type === type ? (routes().get(resource.kind) ?? []) : [];
        const wanted = how === "quick" ? all.filter(({ plain }) => plain) : all;
        if (wanted.length > 0) {
          work.push(...(await workOf(wanted, resources.event(resource.kind, change), resource.kind, context)));
        }
      }
      return work;
    },
    places: (type, change) =>
      registry.resources.some(
        (resource) =>
          resource.type === type && concernsScheduler(resource.kind, resources.event(resource.kind, change)),
      ),
    async everyMinute() {
      for (const controller of list.filter(({ everyMinute }) => everyMinute)) {
        for (const { key } of await keysOf(controller)) {
          await reconcileKey(controller, context, key).catch((error: unknown) => {
            log.warn("a look at an object failed and is tried again in a minute", { ...key, error });
          });
        }
      }
    },
    async everything() {
      const work = new Map<string, Work>();
      for (const [kind, wanted] of routes()) {
        const { items } = await managing.list(kind);
        for (const object of items) {
          for (const each of await workOf(wanted, { type: "ADDED", object }, kind, context)) {
            work.set(`${each.controller} ${encodeKey(each.key)}`, each);
          }
        }
      }
      return [...work.values()];
    },
    async schedule(fence) {
      const scheduler = startScheduler({ client: scheduling, clock, random, log, record: recordPlaces, fence });
      try {
        await scheduler.ready;
        while (scheduler.busy > 0) await sleep(clock, settlingPause);
        if (scheduler.failures > 0) throw new Error(`${scheduler.failures} pods could not be bound`);
      } finally {
        await scheduler.stop();
      }
    },
    async settled() {
      await Promise.all([record.settled(), recordPlaces.settled()]);
    },
  };
}
