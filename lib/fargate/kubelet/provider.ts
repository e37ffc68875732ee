import type { ConfigMap, Pod } from "#api";
import type { TaskRecord } from "#fargate";
import type { Task } from "./task.ts";

/** The provider cannot run this pod; a retry has the same result. */
export class Refused extends Error {
  override name = "Refused";
}

export interface RunPodRequest {
  pod: Pod;
  /** The number of the pod's task, from 0. */
  attempt: number;
  /** The ConfigMaps that the pod's environment names and that exist, by name. */
  configMaps: ReadonlyMap<string, ConfigMap>;
}

/**
 * What the kubelet needs of the service that runs pods, as virtual-kubelet's core needs its `PodLifecycleHandler`.
 * Every method rejects with RetryAfter when the service throttles or is out of capacity.
 */
export interface PodProvider {
  /**
   * Runs a pod as a task. The same pod and attempt always yield the same task, so a repeated call starts nothing.
   * Rejects with Refused, and with Missing when a ConfigMap does not exist.
   */
  run(request: RunPodRequest): Promise<Task>;
  /** Undefined while the provider does not show the task yet, and after it has forgotten it. */
  describe(arn: string): Promise<Task | undefined>;
  /** The last state of a task that the provider has forgotten: it has stopped, for an unknown reason. */
  forgotten(pod: Pod, record: TaskRecord): Task;
  /** Stops a task. Has no effect on a task that has stopped or is unknown. */
  stop(arn: string, reason: string): Promise<void>;
}
