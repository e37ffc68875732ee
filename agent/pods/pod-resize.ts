import type { Container, Pod, PodCondition, ResourceRequirements } from "#api";
import { formatTime, messageOf } from "#base";
import { retryDelay } from "#kubelet";
import type { Allocations } from "./allocations.ts";
import type { PodsContext } from "./context.ts";
import { type ResizedContainer, Resizer } from "./resizer.ts";

/** How often a waiting resize is tried without any other cause (upstream's retryDelay). */
const waitingMilliseconds = 180_000;

/**
 * Resizes of one pod: what is granted, what is in effect, and the conditions and events that report it. Names and texts
 * are upstream's.
 */
export class PodResize {
  readonly resizer: Resizer;
  readonly #context: PodsContext;
  readonly #allocations: Allocations;
  #pending: PodCondition | undefined;
  #inProgress: PodCondition | undefined;
  #retryAt: number | undefined;

  /** `pod` is as the API had it: a restarted agent keeps its conditions. */
  constructor(context: PodsContext, allocations: Allocations, pod: Pod) {
    this.#context = context;
    this.#allocations = allocations;
    this.resizer = new Resizer(context);
    const known = (name: string) => pod.status?.conditions?.find(({ type }) => type === name);
    this.#pending = known("PodResizePending");
    this.#inProgress = known("PodResizeInProgress");
  }

  get conditions(): PodCondition[] {
    return [this.#pending, this.#inProgress].filter((condition) => condition !== undefined);
  }

  /** When the next try is due, in milliseconds since the epoch. */
  get due(): number | undefined {
    if (this.#retryAt !== undefined) return this.#retryAt;
    return this.#pending ? this.#context.clock.now() + waitingMilliseconds : undefined;
  }

  /** Grants a resize, or reports that it waits. Resolves with the pod as it is granted. */
  async allocate(pod: Pod): Promise<Pod> {
    const outcome = await this.#allocations.resize(pod);
    if (typeof outcome === "object") this.#wait(pod, outcome.missing);
    else this.#pending = undefined;
    if (outcome === "granted") {
      this.#inProgress = this.#condition("PodResizeInProgress", undefined, { pod });
      this.#record(pod, "Normal", "ResizeStarted", "Pod resize started");
      this.#allocations.retry();
    }
    return this.#allocations.allocated(pod);
  }

  /** Applies what is granted to running containers. A failure is reported, and the next try is due later. */
  async apply(pod: Pod, live: readonly ResizedContainer[]): Promise<void> {
    if (this.#retryAt !== undefined && this.#retryAt > this.#context.clock.now()) return;
    this.#retryAt = undefined;
    try {
      await this.resizer.follow(pod, live);
    } catch (error) {
      this.#fail(pod, messageOf(error));
      return;
    }
    if (await this.resizer.inProgress(pod, live)) {
      this.#inProgress ??= this.#condition("PodResizeInProgress", undefined, { pod });
      return;
    }
    if (!this.#inProgress) return;
    const generation = this.#inProgress.observedGeneration;
    this.#inProgress = undefined;
    this.#record(pod, "Normal", "ResizeCompleted", "Pod resize completed", { generation });
  }

  #wait(pod: Pod, message: string): void {
    const before = this.#pending;
    this.#pending = this.#condition("PodResizePending", before, { pod, reason: "Deferred", message });
    if (before?.reason === "Deferred" && before.observedGeneration === pod.metadata.generation) return;
    this.#record(pod, "Warning", "ResizeDeferred", "Pod resize Deferred", { error: message });
  }

  #fail(pod: Pod, message: string): void {
    const { clock, log, random } = this.#context;
    const before = this.#inProgress;
    this.#retryAt = clock.now() + retryDelay(random);
    // A failure belongs to the resize that began it.
    const generation = before?.observedGeneration ?? pod.metadata.generation;
    this.#inProgress = this.#condition("PodResizeInProgress", before, { pod, reason: "Error", message, generation });
    if (before?.reason === "Error" && before.message === message) return;
    log.warn("a pod could not be resized", { pod: pod.metadata.name, error: message });
    this.#record(pod, "Warning", "ResizeError", "Pod resize error", { error: message, generation });
  }

  #condition(
    type: string,
    before: PodCondition | undefined,
    { pod, reason, message, generation = pod.metadata.generation }: ConditionInput,
  ): PodCondition {
    const now = formatTime(this.#context.clock.now());
    const isSame = before && before.reason === reason && before.message === message;
    return {
      ...{ type, status: "True" },
      lastProbeTime: (isSame && before.lastProbeTime) || now,
      lastTransitionTime: before && before.reason === reason ? before.lastTransitionTime : now,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      ...(reason === undefined ? {} : { reason }),
      ...(message === undefined ? {} : { message }),
    } as PodCondition;
  }

  #record(
    pod: Pod,
    type: "Normal" | "Warning",
    reason: string,
    text: string,
    { error, generation = pod.metadata.generation }: { error?: string; generation?: ConditionInput["generation"] } = {},
  ): void {
    const listed = (containers: readonly Pick<Container, "name" | "resources">[] | undefined) =>
      containers?.map(({ name, resources = {} }) => ({ name, resources: summary(resources) }));
    const inits = listed(pod.spec?.initContainers);
    const resources = {
      ...(inits?.length ? { initContainers: inits } : {}),
      containers: listed(pod.spec?.containers),
      generation: Number(generation ?? 0),
      ...(error === undefined ? {} : { error }),
    };
    this.#context.record(pod, type, reason, `${text}: ${JSON.stringify(resources)}`);
  }
}

interface ConditionInput {
  pod: Pod;
  reason?: string;
  message?: string;
  generation?: PodCondition["observedGeneration"];
}

const summary = ({ limits, requests }: ResourceRequirements): object => ({
  ...(limits && Object.keys(limits).length > 0 ? { limits } : {}),
  ...(requests && Object.keys(requests).length > 0 ? { requests } : {}),
});
