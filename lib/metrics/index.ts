/**
 * Numbers for Prometheus: counters, gauges and histograms, and their text. Names and labels are upstream's, so that
 * existing dashboards and alerts work. It reads no clock and no process: values are passed in.
 */
export { buckets, type Counter, type Gauge, type Histogram, type MetricOptions, MetricRegistry } from "./registry.ts";
export { type AttemptResult, type SchedulingMetrics, schedulingMetrics } from "./scheduling.ts";
export { meteredStore } from "./store.ts";
export { type QueueMetrics, queueMetrics } from "./work-queue.ts";
