import type { MetricRegistry } from "./registry.ts";

/** What becomes of an attempt to place a pod: `error` where the attempt itself failed. */
export type AttemptResult = "scheduled" | "unschedulable" | "error";

/** The metrics of a scheduler. */
export interface SchedulingMetrics {
  attempted(result: AttemptResult): void;
  /** A hint failed, or an object could not be taken in: it was passed over. */
  panicked(): void;
}

/** The attempts of kube-scheduler, for one profile. */
export function schedulingMetrics(registry: MetricRegistry, profile = "default-scheduler"): SchedulingMetrics {
  const attempts = registry.counter({
    name: "scheduler_schedule_attempts_total",
    help: "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, while 'error' means an internal scheduler problem.",
    labels: ["profile", "result"],
  });
  const panics = registry.counter({
    name: "skiff_scheduler_contained_failures_total",
    help: "Number of objects that the scheduler passed over because its own code threw on them",
    labels: ["profile"],
  });
  return { attempted: (result) => attempts.add([profile, result]), panicked: () => panics.add([profile]) };
}
