/**
 * Numbers for Prometheus: counters, gauges and histograms, and their text. Names and labels are upstream's, so that
 * what people have built on them works here. It reads no clock and no process: what it counts is told.
 */
export { buckets, type Counter, type Gauge, type Histogram, type MetricOptions, MetricRegistry } from "./registry.ts";
export { type AttemptResult, type SchedulingMetrics, schedulingMetrics } from "./scheduling.ts";
export { meteredStore } from "./store.ts";
export { type QueueMetrics, queueMetrics } from "./work-queue.ts";
