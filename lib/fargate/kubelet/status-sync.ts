import type { Pod } from "#api";
import { type Clock, isReason, type Log, parseTime } from "#base";
import type { Client } from "#client";
import { conditionOf, heardOf, isStopped, recordOf, type TaskRecord, work } from "#fargate";
import { isOver } from "#kubelet";
import type { ControllerContext } from "#reconcile";
import type { ScheduleWork } from "#reconcile/sqs";
import { backoffOf, isForgiven, lastPhase, type Outcome, outcomeOf, pullFailureOf, stopReasons } from "./outcome.ts";
import { type EventWriter, eventsAbout, keyOf, removePod, timeLeft, writeStatus } from "./pods.ts";
import type { PodProvider } from "./provider.ts";
import { statusOf } from "./status.ts";
import type { Task } from "./task.ts";

const maxConflicts = 5;

/** Brings pods up to the reported state of their tasks. Every step is safe to repeat after a crash at any point. */
export class StatusSync {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #record: ControllerContext["record"];
  readonly #provider: PodProvider;
  readonly #later: ScheduleWork;

  constructor(context: ControllerContext, provider: PodProvider, later: ScheduleWork) {
    this.#client = context.client;
    this.#clock = context.clock;
    this.#log = context.log;
    this.#record = context.record;
    this.#provider = provider;
    this.#later = later;
  }

  /**
   * Writes a task's state into its pod's status and acts on the result. `find` reads the pod; it is read again after a
   * conflict. Stops the task, and resolves with undefined, when it is no longer the task of an existing pod.
   */
  async apply(task: Task, find: () => Promise<Pod | undefined>): Promise<Pod | undefined> {
    for (let attempt = 1; ; attempt++) {
      const pod = await find();
      if (!pod || pod.metadata.uid !== task.startedBy) {
        await this.#stop(task, stopReasons.unowned);
        return undefined;
      }
      try {
        return await this.#applyTo(pod, task);
      } catch (error) {
        const isRace = isReason(error, "Conflict") || isReason(error, "NotFound");
        if (!isRace || attempt === maxConflicts) throw error;
      }
    }
  }

  async #applyTo(pod: Pod, task: Task): Promise<Pod> {
    const known = recordOf(pod);
    if (known && known.arn !== task.taskArn && !(known.stopped && parseTime(task.createdAt) > known.created)) {
      // A pod has one task: any other is surplus.
      await this.#stop(task, stopReasons.unowned);
      return pod;
    }
    const isSame = known?.arn === task.taskArn;
    if (isSame && (task.version < known.version || (known.stopped && !isStopped(task)))) return pod;
    const written = isSame && known.stopped ? pod : await this.#writeState(pod, task, known);
    await this.#act(written, task);
    return written;
  }

  /** Writes a task's state into its pod's status. */
  async #writeState(pod: Pod, task: Task, known: TaskRecord | undefined): Promise<Pod> {
    const now = this.#clock.now();
    const outcome = isStopped(task) ? outcomeFor(pod, task) : undefined;
    const next = heardOf(task, known);
    if (outcome?.is === "again") {
      next.attempt += 1;
      next.failures = isForgiven(task) ? 1 : next.failures + 1;
      next.retry = now + backoffOf(next.failures);
    }
    const status = statusOf({ pod, task, outcome, backoff: backoffOf(next.failures), now });
    const conditions = [...(status.conditions ?? []), conditionOf(next, task.lastStatus)];
    const written = await writeStatus(this.#client, pod, { status: { ...status, conditions }, now });
    if (written !== pod) this.#recordEvents(pod, written, { task, outcome });
    return written;
  }

  #recordEvents(before: Pod, pod: Pod, { task, outcome }: { task: Task; outcome: Outcome | undefined }): void {
    const record = this.#events(pod);
    if (runs(pod) && !runs(before)) record("Normal", "Started", `Started task ${task.taskArn}`);
    if (outcome?.is !== "again") return;
    for (const container of task.containers) {
      const pull = pullFailureOf(container, task);
      if (pull !== undefined) record("Warning", "Failed", `Failed to pull the image of ${container.name}: ${pull}`);
    }
    const why = task.stoppedReason ?? "ECS reported no reason";
    if (outcome.ran) record("Warning", "BackOff", `Back-off restarting failed task: ${why}`);
    else record("Warning", "FailedCreatePodSandBox", `The task did not start: ${why}`);
  }

  /** Does what the pod's status requires. Repeated whenever the same state is reported again. */
  async #act(pod: Pod, task: Task): Promise<void> {
    const { deletionTimestamp } = pod.metadata;
    const now = this.#clock.now();
    if (isStopped(task)) {
      const { retry } = recordOf(pod) ?? {};
      if (deletionTimestamp) await removePod(this.#client, pod);
      else if (retry !== undefined) {
        await this.#later({ controller: work.pod, key: keyOf(pod) }, Math.max(0, retry - now));
      }
      return;
    }
    if (deletionTimestamp) return this.#stop(task, stopReasons.deleted);
    if (isOver(pod.status?.phase)) return this.#stop(task, stopReasons.over);
    if (timeLeft(pod, now) === 0) return this.#stop(task, stopReasons.deadline);
    const unhealthy = unhealthyContainer(pod, task);
    if (unhealthy === undefined) return;
    // No container of a task can be restarted on its own.
    this.#events(pod)("Warning", "Unhealthy", `Liveness probe failed: ECS reports that ${unhealthy} is unhealthy`);
    await this.#stop(task, stopReasons.liveness);
  }

  async #stop(task: Task, reason: string): Promise<void> {
    if (isStopped(task) || task.desiredStatus === "STOPPED") return;
    this.#log.info("a task is stopped", { task: task.taskArn, reason });
    await this.#provider.stop(task.taskArn, reason);
  }

  #events(pod: Pod): EventWriter {
    return eventsAbout(pod, this.#record);
  }
}

const outcomeFor = (pod: Pod, task: Task): Outcome =>
  pod.metadata.deletionTimestamp ? { is: "over", phase: lastPhase(pod, task) } : outcomeOf(pod, task);

const runs = ({ status }: Pod): boolean => status?.containerStatuses?.every(({ state }) => state?.running) ?? false;

/** The name of a container that runs and fails its liveness probe. */
const unhealthyContainer = ({ spec }: Pod, { containers }: Task): string | undefined =>
  [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(
    ({ name, livenessProbe }) =>
      livenessProbe &&
      containers.some(
        (each) => each.name === name && each.lastStatus === "RUNNING" && each.healthStatus === "UNHEALTHY",
      ),
  )?.name;
