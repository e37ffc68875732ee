import type { Pod } from "#api";
import { type Clock, isReason } from "#base";
import type { Client, ObjectName } from "#client";
import { recordOf, type TaskRecord } from "#fargate";
import { isOver } from "#kubelet";
import { type ControllerContext, type Result, RetryAfter } from "#reconcile";
import { Missing } from "./env.ts";
import { stopReasons, tooLong } from "./outcome.ts";
import {
  configMapsFor,
  type EventWriter,
  eventsAbout,
  keyOf,
  podNamed,
  rejected,
  removePod,
  timeLeft,
  waiting,
  writeStatus,
} from "./pods.ts";
import { type PodProvider, Refused } from "./provider.ts";
import { isTokenVolume, type Refusal, refusalOf } from "./refusals.ts";
import type { StatusSync } from "./status-sync.ts";

/** Milliseconds until a missing ConfigMap is read again: a wait that the tick sweeps, cheaper than Step Functions. */
const slowRetry = 91_000;
/** Milliseconds between reads of a task that is not running yet: its events may have been lost. */
const describeInterval = 300_000;
/** Milliseconds for which ECS may not show a task that it has started. */
const startVisibility = 600_000;
/** A retry after at least so many milliseconds is reported by an event. */
const reportedRetry = 30_000;

/** Reconciles one pod of the Fargate node: rejects it, runs it, or reads its task's state. */
export class PodController {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #record: ControllerContext["record"];
  readonly #provider: PodProvider;
  readonly #sync: StatusSync;

  constructor(context: ControllerContext, provider: PodProvider, sync: StatusSync) {
    this.#client = context.client;
    this.#clock = context.clock;
    this.#record = context.record;
    this.#provider = provider;
    this.#sync = sync;
  }

  /** Rejects with RetryAfter when the pod was changed meanwhile: perhaps no other event wakes its key. */
  async reconcile(key: ObjectName): Promise<Result | undefined> {
    try {
      return await this.#reconcile(key);
    } catch (error) {
      if (isReason(error, "Conflict")) throw new RetryAfter(1000, "another writer changed the pod");
      throw error;
    }
  }

  async #reconcile(key: ObjectName): Promise<Result | undefined> {
    const pod = await podNamed(this.#client, key);
    if (!pod) return undefined;
    const known = recordOf(pod);
    if (known && !known.stopped) return this.#readTask(pod, known);
    if (pod.metadata.deletionTimestamp) {
      await removePod(this.#client, pod);
      return undefined;
    }
    if (isOver(pod.status?.phase)) return undefined;
    const now = this.#clock.now();
    if (timeLeft(pod, now) === 0) return this.#reject(pod, { reason: "DeadlineExceeded", message: tooLong });
    const wait = (known?.retry ?? 0) - now;
    return wait > 0 ? { requeueAfter: wait } : this.#start(pod, known);
  }

  async #start(pod: Pod, known: TaskRecord | undefined): Promise<Result | undefined> {
    const refusal = refusalOf(pod);
    if (refusal) return this.#reject(pod, refusal);
    const attempt = known?.attempt ?? 0;
    try {
      const configMaps = await configMapsFor(this.#client, pod);
      // A crash after this call leaves a task that the next try gets again, and that its events report.
      const task = await this.#provider.run({ pod, attempt, configMaps });
      await this.#sync.apply(task, () => podNamed(this.#client, keyOf(pod)));
    } catch (error) {
      return this.#startFailed(pod, error);
    }
    if (attempt === 0 && pod.spec?.volumes?.some((volume) => isTokenVolume(pod.spec!, volume))) {
      this.#events(pod)("Warning", "TokenNotMounted", "Pods on Fargate get no token of their service account");
    }
    return { requeueAfter: Math.min(describeInterval, timeLeft(pod, this.#clock.now()) ?? describeInterval) };
  }

  async #startFailed(pod: Pod, error: unknown): Promise<Result | undefined> {
    if (error instanceof Refused) {
      const message = `Pod was rejected: ECS does not accept its task definition: ${error.message}`;
      return this.#reject(pod, { reason: "UnsupportedOnFargate", message });
    }
    const record = this.#events(pod);
    // Throttling is not reported.
    if (error instanceof RetryAfter && error.milliseconds >= reportedRetry) {
      record("Warning", "FailedCreatePodSandBox", error.message);
    }
    if (!(error instanceof Missing)) throw error;
    record("Warning", "Failed", `Error: ${error.message}`);
    const now = this.#clock.now();
    const status = waiting(pod, { container: error.container, message: error.message, now });
    await writeStatus(this.#client, pod, { status, now });
    return { requeueAfter: slowRetry };
  }

  async #reject(pod: Pod, refusal: Refusal): Promise<undefined> {
    const now = this.#clock.now();
    await writeStatus(this.#client, pod, { status: rejected(pod, refusal, now), now });
    this.#events(pod)("Warning", refusal.reason, refusal.message);
  }

  /** Reads the task of a pod, since its events may have been lost. */
  async #readTask(pod: Pod, known: TaskRecord): Promise<Result | undefined> {
    const task = await this.#provider.describe(known.arn);
    if (!task && this.#clock.now() - known.created < startVisibility) {
      if (pod.metadata.deletionTimestamp) await this.#provider.stop(known.arn, stopReasons.deleted);
      throw new RetryAfter(slowRetry, "ECS does not show the task yet");
    }
    const state = task ?? this.#provider.forgotten(pod, known);
    const now = await this.#sync.apply(state, () => podNamed(this.#client, keyOf(pod)));
    if (!now || isOver(now.status?.phase)) return undefined;
    const waits = [describeAfter(now), timeLeft(now, this.#clock.now())].filter((wait) => wait !== undefined);
    return waits.length > 0 ? { requeueAfter: Math.min(...waits) } : undefined;
  }

  #events(pod: Pod): EventWriter {
    return eventsAbout(pod, this.#record);
  }
}

/** Milliseconds until the task of a pod is read again; undefined when its events are enough. */
function describeAfter({ metadata, status }: Pod): number | undefined {
  if (metadata.deletionTimestamp) return slowRetry;
  return status?.phase === "Pending" ? describeInterval : undefined;
}
