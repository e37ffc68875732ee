import { expect, test } from "vitest";
import { memoryStore } from "#store/memory";
import { handClock } from "#test/make";
import { MetricRegistry, meteredStore, queueMetrics } from "./index.ts";

/** The lines of a metric, without help and type. */
const linesOf = (registry: MetricRegistry, name: string): string[] =>
  registry
    .text()
    .split("\n")
    .filter((line) => line.startsWith(name));

// Prometheus' exposition format 0.0.4.
test("metrics are printed as Prometheus reads them", () => {
  const registry = new MetricRegistry();
  const counter = registry.counter({ name: "b_total", help: "Counts\n\\ things.", labels: ["a", "b"] });
  counter.add(["x", 'say "hi"\n\\']);
  counter.add(["x", 'say "hi"\n\\'], 2);
  counter.add(["y", ""]);
  registry.gauge({ name: "a_now", help: "Now." }).set([], -1.5);
  registry.read({ name: "c_read", help: "Read.", labels: ["l"] }, () => [[["v"], Number.POSITIVE_INFINITY]]);
  expect(registry.text()).toBe(`# HELP a_now Now.
# TYPE a_now gauge
a_now -1.5
# HELP b_total Counts\\n\\\\ things.
# TYPE b_total counter
b_total{a="x",b="say \\"hi\\"\\n\\\\"} 3
b_total{a="y",b=""} 1
# HELP c_read Read.
# TYPE c_read gauge
c_read{l="v"} +Inf
`);
  expect(() => registry.gauge({ name: "a_now", help: "" })).toThrow(/is there already/);
});

test("counts every value below the bound of a histogram's bucket", () => {
  const registry = new MetricRegistry();
  const histogram = registry.histogram({ name: "h", help: "H.", labels: ["l"], bounds: [0.1, 1] });
  for (const value of [0.05, 0.1, 0.5, 1, 7]) histogram.observe(["v"], value);
  expect(linesOf(registry, "h")).toEqual([
    'h_bucket{l="v",le="0.1"} 2',
    'h_bucket{l="v",le="1"} 4',
    'h_bucket{l="v",le="+Inf"} 5',
    'h_sum{l="v"} 8.65',
    'h_count{l="v"} 5',
  ]);
});

test("a store's operations are timed by type, and its failures counted", async () => {
  const registry = new MetricRegistry();
  const clock = handClock();
  const store = meteredStore(memoryStore(), registry, clock);
  await store.get("core/pods", "a/b");
  await store.list("apps/deployments");
  await expect(store.list("apps/deployments", { at: 99 })).rejects.toThrow();
  expect(linesOf(registry, "etcd_requests_total")).toEqual([
    'etcd_requests_total{operation="get",group="",resource="pods"} 1',
    'etcd_requests_total{operation="list",group="apps",resource="deployments"} 2',
  ]);
  expect(linesOf(registry, "etcd_request_errors_total")).toEqual([
    'etcd_request_errors_total{operation="list",group="apps",resource="deployments"} 1',
  ]);
});

test("a queue's keys are counted from when they come until they are done", () => {
  const registry = new MetricRegistry();
  const clock = handClock();
  const metrics = queueMetrics(registry, clock);
  metrics.added("q", "a");
  metrics.added("q", "b");
  clock.move(2000);
  metrics.started("q", "a");
  clock.move(3000);
  expect(linesOf(registry, "workqueue_depth")).toEqual(['workqueue_depth{name="q"} 1']);
  expect(linesOf(registry, "workqueue_unfinished_work_seconds")).toEqual([
    'workqueue_unfinished_work_seconds{name="q"} 3',
  ]);
  metrics.finished("q", "a", true);
  metrics.retried("q");
  expect(linesOf(registry, "workqueue_queue_duration_seconds_sum")).toEqual([
    'workqueue_queue_duration_seconds_sum{name="q"} 2',
  ]);
  expect(linesOf(registry, "workqueue_work_duration_seconds_sum")).toEqual([
    'workqueue_work_duration_seconds_sum{name="q"} 3',
  ]);
  expect(linesOf(registry, "workqueue_retries_total")).toEqual(['workqueue_retries_total{name="q"} 1']);
  expect(linesOf(registry, "controller_runtime_reconcile_errors_total")).toEqual([
    'controller_runtime_reconcile_errors_total{controller="q"} 1',
  ]);
});
