import type { Clock } from "#base";
import { buckets, type MetricRegistry } from "./registry.ts";

/** The metrics of a queue of keys, under its name. */
export interface QueueMetrics {
  added(queue: string, key: string): void;
  /** A failed key waits for another try. */
  retried(queue: string): void;
  /** A worker has taken a key. */
  started(queue: string, key: string): void;
  finished(queue: string, key: string, failed: boolean): void;
  /** The controller's own code threw on an object, which was passed over. */
  panicked(controller: string): void;
}

/** The work queues' metrics of client-go, and controller-runtime's of what became of the keys. */
export function queueMetrics(registry: MetricRegistry, clock: Clock): QueueMetrics {
  const by = (name: string, help: string) => ({ name, help, labels: ["name"] });
  const adds = registry.counter(by("workqueue_adds_total", "Total number of adds handled by workqueue"));
  const retries = registry.counter(by("workqueue_retries_total", "Total number of retries handled by workqueue"));
  const waited = registry.histogram({
    ...by("workqueue_queue_duration_seconds", "How long in seconds an item stays in workqueue before being requested."),
    bounds: buckets.decades,
  });
  const worked = registry.histogram({
    ...by("workqueue_work_duration_seconds", "How long in seconds processing an item from workqueue takes."),
    bounds: buckets.decades,
  });
  const results = registry.counter({
    name: "controller_runtime_reconcile_total",
    help: "Total number of reconciliations per controller",
    labels: ["controller", "result"],
  });
  const errors = registry.counter({
    name: "controller_runtime_reconcile_errors_total",
    help: "Total number of reconciliation errors per controller",
    labels: ["controller"],
  });
  const panics = registry.counter({
    name: "controller_runtime_reconcile_panics_total",
    help: "Total number of reconciliation panics per controller",
    labels: ["controller"],
  });
  const waiting = new Map<string, Map<string, number>>();
  const working = new Map<string, Map<string, number>>();
  readAges(registry, clock, { waiting, working });
  return {
    added(queue, key) {
      adds.add([queue]);
      const keys = keysOf(waiting, queue);
      if (!keys.has(key)) keys.set(key, clock.now());
    },
    retried: (queue) => retries.add([queue]),
    started(queue, key) {
      const now = clock.now();
      const since = waiting.get(queue)?.get(key);
      waiting.get(queue)?.delete(key);
      if (since !== undefined) waited.observe([queue], (now - since) / 1000);
      keysOf(working, queue).set(key, now);
    },
    finished(queue, key, failed) {
      const since = working.get(queue)?.get(key);
      working.get(queue)?.delete(key);
      if (since !== undefined) worked.observe([queue], (clock.now() - since) / 1000);
      results.add([queue, failed ? "error" : "success"]);
      if (failed) errors.add([queue]);
    },
    panicked: (controller) => panics.add([controller]),
  };
}

type Times = Map<string, Map<string, number>>;

function keysOf(times: Times, queue: string): Map<string, number> {
  const known = times.get(queue) ?? new Map<string, number>();
  times.set(queue, known);
  return known;
}

/** Read at each scrape: the number of waiting keys, and the age of those in progress. */
function readAges(
  registry: MetricRegistry,
  clock: Clock,
  { waiting, working }: { waiting: Times; working: Times },
): void {
  const labels = ["name"];
  registry.read({ name: "workqueue_depth", help: "Current depth of workqueue", labels }, () =>
    [...waiting].map(([queue, keys]) => [[queue], keys.size]),
  );
  const ages = (keys: Map<string, number>): number[] => [...keys.values()].map((since) => (clock.now() - since) / 1000);
  registry.read(
    {
      name: "workqueue_unfinished_work_seconds",
      help: "How many seconds of work has been done that is in progress and hasn't been observed by work_duration.",
      labels,
    },
    () => [...working].map(([queue, keys]) => [[queue], ages(keys).reduce((sum, age) => sum + age, 0)]),
  );
  registry.read(
    {
      name: "workqueue_longest_running_processor_seconds",
      help: "How many seconds has the longest running processor for workqueue been running.",
      labels,
    },
    () => [...working].map(([queue, keys]) => [[queue], Math.max(0, ...ages(keys))]),
  );
}
