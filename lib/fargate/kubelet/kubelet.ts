import { type Pod, pods } from "#api";
import { isReason, parseTime } from "#base";
import type { ObjectName } from "#client";
import { conditionOf, heardOf, isStopped, recordOf, type TaskRecord, work } from "#fargate";
import { isOver } from "#kubelet";
import { type AnyController, type ControllerContext, defineController, type Result, RetryAfter } from "#reconcile";
import type { Later } from "#reconcile/sqs";
import { planOf, type TaskSettings } from "./definition.ts";
import { Missing } from "./env.ts";
import {
  backoffOf,
  isForgiven,
  lastPhase,
  type Outcome,
  outcomeOf,
  pullFailureOf,
  stopReasons,
  tooLong,
} from "./outcome.ts";
import { configMapsFor, keyOf, podNamed, podWithUid, rejected, removePod, waiting, writeStatus } from "./pods.ts";
import { isTokenVolume, refusalOf } from "./refusals.ts";
import { statusOf } from "./status.ts";
import type { Task } from "./task.ts";
import { Refused, type Tasks } from "./tasks.ts";

export interface KubeletOptions {
  context: ControllerContext;
  tasks: Tasks;
  later: Later;
  settings: TaskSettings;
}

export interface Kubelet {
  /** Keys of pods, and ARNs of tasks whose pods are gone. */
  controllers: readonly AnyController[];
  /** ECS tells how a task of this cluster stands. Whatever came first, what is told last is what holds. */
  taskChanged(task: Task): Promise<void>;
}

/** Beyond what waits in Step Functions: rows that the clock's tick sweeps, and cheap. */
const slow = 91_000;
/** So often a task that has not come up is asked about: its events may have been lost. */
const lookAgain = 300_000;
/** ECS may not show a task for a while after it was started. */
const unseen = 600_000;
const tries = 5;
/** A wait for so long is a wait for people. */
const worthTelling = 30_000;

export function kubelet({ context, tasks, later, settings }: KubeletOptions): Kubelet {
  const { client, clock, log, record } = context;
  const tell = (pod: Pod, type: "Normal" | "Warning", reason: string, message: string): void =>
    record({ kind: pods, object: pod }, type, reason, message);

  /** Milliseconds until a pod has been active for as long as it may. */
  const leftOf = ({ spec, status }: Pod): number | undefined => {
    const seconds = spec?.activeDeadlineSeconds;
    if (seconds === undefined) return undefined;
    const since = status?.startTime === undefined ? clock.now() : parseTime(status.startTime);
    return Math.max(0, since + Number(seconds) * 1000 - clock.now());
  };

  /** Brings a pod up to what is known of one of its tasks. Safe to be done again after a crash anywhere. */
  const apply = async (task: Task, find: () => Promise<Pod | undefined>): Promise<Pod | undefined> => {
    for (let attempt = 1; ; attempt++) {
      const pod = await find();
      if (!pod || pod.metadata.uid !== task.startedBy) {
        await end(task, stopReasons.unowned);
        return undefined;
      }
      try {
        return await applyTo(pod, task);
      } catch (error) {
        const isRace = isReason(error, "Conflict") || isReason(error, "NotFound");
        if (!isRace || attempt === tries) throw error;
      }
    }
  };

  const end = async (task: Task, reason: string): Promise<void> => {
    if (isStopped(task) || task.desiredStatus === "STOPPED") return;
    log.info("a task is stopped", { task: task.taskArn, reason });
    await tasks.stop(task.taskArn, reason);
  };

  const applyTo = async (pod: Pod, task: Task): Promise<Pod> => {
    const known = recordOf(pod);
    if (known && known.arn !== task.taskArn && !(known.stopped && parseTime(task.createdAt) > known.created)) {
      // A pod is one task: any other is left over.
      await end(task, stopReasons.unowned);
      return pod;
    }
    const again = known?.arn === task.taskArn;
    if (again && (task.version < known.version || (known.stopped && !isStopped(task)))) return pod;
    const isNews = !(again && known.stopped);
    const written = isNews ? await show(pod, task, known) : pod;
    await follow(written, task);
    return written;
  };

  /** Writes how a task stands into its pod's status. */
  const show = async (pod: Pod, task: Task, known: TaskRecord | undefined): Promise<Pod> => {
    const now = clock.now();
    const outcome = isStopped(task) ? verdict(pod, task) : undefined;
    const next = heardOf(task, known);
    if (outcome?.is === "again") {
      next.attempt += 1;
      next.failures = isForgiven(task) ? 1 : next.failures + 1;
      next.retry = now + backoffOf(next.failures);
    }
    const status = statusOf({ pod, task, outcome, backoff: backoffOf(next.failures), now });
    const conditions = [...(status.conditions ?? []), conditionOf(next, task.lastStatus)];
    const written = await writeStatus(client, pod, { ...status, conditions }, now);
    if (written !== pod) tellOf(pod, written, task, outcome);
    return written;
  };

  const verdict = (pod: Pod, task: Task): Outcome =>
    pod.metadata.deletionTimestamp ? { is: "over", phase: lastPhase(pod, task) } : outcomeOf(pod, task);

  const tellOf = (before: Pod, pod: Pod, task: Task, outcome: Outcome | undefined): void => {
    const runs = (each: Pod) => each.status?.containerStatuses?.every(({ state }) => state?.running) ?? false;
    if (runs(pod) && !runs(before)) tell(pod, "Normal", "Started", `Started task ${task.taskArn}`);
    if (outcome?.is !== "again") return;
    for (const container of task.containers) {
      const pull = pullFailureOf(container, task);
      if (pull !== undefined) tell(pod, "Warning", "Failed", `Failed to pull the image of ${container.name}: ${pull}`);
    }
    const why = task.stoppedReason ?? "no reason was told";
    if (outcome.ran) tell(pod, "Warning", "BackOff", `Back-off restarting failed task: ${why}`);
    else tell(pod, "Warning", "FailedCreatePodSandBox", `The task did not start: ${why}`);
  };

  /** What the status asks to be done; done again whenever the same is told again. */
  const follow = async (pod: Pod, task: Task): Promise<void> => {
    const { deletionTimestamp } = pod.metadata;
    if (isStopped(task)) {
      const { retry } = recordOf(pod) ?? {};
      if (deletionTimestamp) await removePod(client, pod);
      else if (retry !== undefined) {
        await later({ controller: work.pod, key: keyOf(pod) }, Math.max(0, retry - clock.now()));
      }
    } else if (deletionTimestamp) await end(task, stopReasons.deleted);
    else if (isOver(pod.status?.phase)) await end(task, stopReasons.over);
    else if (leftOf(pod) === 0) await end(task, stopReasons.deadline);
    else {
      const ill = unhealthy(pod, task);
      if (ill === undefined) return;
      // No container of a task can be started again by itself.
      tell(pod, "Warning", "Unhealthy", `Liveness probe failed: ECS says that ${ill} is unhealthy`);
      await end(task, stopReasons.liveness);
    }
  };

  const start = async (pod: Pod, known: TaskRecord | undefined): Promise<Result | undefined> => {
    const refusal = refusalOf(pod);
    if (refusal) return reject(pod, refusal);
    try {
      const { definition, overrides } = planOf(pod, await configMapsFor(client, pod), settings);
      const { uid = "" } = pod.metadata;
      const attempt = known?.attempt ?? 0;
      const token = attempt === 0 ? uid : `${uid}-${attempt}`;
      // Dying after this call leaves a task that the next try gets by the same token, and that its events tell of.
      const task = await tasks.run({ definition: await tasks.define(definition), token, startedBy: uid, overrides });
      await apply(task, () => podNamed(client, keyOf(pod)));
      if (attempt === 0 && pod.spec?.volumes?.some((volume) => isTokenVolume(pod.spec!, volume))) {
        tell(pod, "Warning", "TokenNotMounted", "Pods on Fargate get no token of their service account");
      }
      return { requeueAfter: Math.min(lookAgain, leftOf(pod) ?? lookAgain) };
    } catch (error) {
      if (error instanceof Refused) {
        const message = `Pod was rejected: ECS does not take its task definition: ${error.message}`;
        return reject(pod, { reason: "UnsupportedOnFargate", message });
      }
      // Being told to be slower is no news.
      if (error instanceof RetryAfter && error.milliseconds >= worthTelling) {
        tell(pod, "Warning", "FailedCreatePodSandBox", error.message);
      }
      if (!(error instanceof Missing)) throw error;
      tell(pod, "Warning", "Failed", `Error: ${error.message}`);
      await writeStatus(client, pod, waiting(pod, error.container, error.message, clock.now()), clock.now());
      return { requeueAfter: slow };
    }
  };

  const reject = async (pod: Pod, refusal: { reason: string; message: string }): Promise<undefined> => {
    await writeStatus(client, pod, rejected(pod, refusal, clock.now()), clock.now());
    tell(pod, "Warning", refusal.reason, refusal.message);
  };

  /** A task whose events may have been lost is asked about. */
  const look = async (pod: Pod, known: TaskRecord): Promise<Result | undefined> => {
    const task = await tasks.describe(known.arn);
    if (!task && clock.now() - known.created < unseen) {
      if (pod.metadata.deletionTimestamp) await tasks.stop(known.arn, stopReasons.deleted);
      throw new RetryAfter(slow, "ECS does not show the task yet");
    }
    const now = await apply(task ?? lost(pod, known, settings), () => podNamed(client, keyOf(pod)));
    if (!now || isOver(now.status?.phase)) return undefined;
    const patience = now.metadata.deletionTimestamp ? slow : now.status?.phase === "Pending" ? lookAgain : undefined;
    const left = leftOf(now);
    const requeueAfter = patience === undefined || left === undefined ? (patience ?? left) : Math.min(patience, left);
    return requeueAfter === undefined ? undefined : { requeueAfter };
  };

  const reconcile = async (key: ObjectName): Promise<Result | undefined> => {
    const pod = await podNamed(client, key);
    if (!pod) return undefined;
    const known = recordOf(pod);
    if (known && !known.stopped) return look(pod, known);
    if (pod.metadata.deletionTimestamp) {
      await removePod(client, pod);
      return undefined;
    }
    if (isOver(pod.status?.phase)) return undefined;
    if (leftOf(pod) === 0) return reject(pod, { reason: "DeadlineExceeded", message: tooLong });
    const wait = (known?.retry ?? 0) - clock.now();
    return wait > 0 ? { requeueAfter: wait } : start(pod, known);
  };

  const ofPods = defineController<Pod>({
    name: work.pod,
    for: pods,
    reconcile: async (_, key) => {
      try {
        return await reconcile(key);
      } catch (error) {
        // It has changed meanwhile, and perhaps nothing else comes that wakes it.
        if (isReason(error, "Conflict")) throw new RetryAfter(1000, "the pod was written by somebody else");
        throw error;
      }
    },
  });
  const ofStops = defineController<Pod>({
    name: work.stop,
    for: pods,
    reconcile: (_, { name }) => tasks.stop(name, stopReasons.deleted),
  });
  return {
    controllers: [ofPods, ofStops],
    async taskChanged(task) {
      const uid = task.startedBy;
      // Services of the same ECS cluster have tasks, too.
      if (uid === undefined || !isUid.test(uid)) return;
      await apply(task, () => podWithUid(client, uid));
    },
  };
}

const isUid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A container that runs and fails its liveness probe. */
const unhealthy = ({ spec }: Pod, { containers }: Task): string | undefined =>
  [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(
    ({ name, livenessProbe }) =>
      livenessProbe &&
      containers.some(
        (each) => each.name === name && each.lastStatus === "RUNNING" && each.healthStatus === "UNHEALTHY",
      ),
  )?.name;

/** ECS has forgotten the task: it has stopped, and nobody knows how. */
function lost(pod: Pod, { arn, version, created }: TaskRecord, { cluster }: TaskSettings): Task {
  return {
    taskArn: arn,
    clusterArn: `arn:aws:ecs:::cluster/skiff-${cluster}`,
    startedBy: pod.metadata.uid,
    version: version + 1,
    lastStatus: "STOPPED",
    desiredStatus: "STOPPED",
    createdAt: new Date(created).toISOString(),
    stopCode: "TaskNotFound",
    stoppedReason: "The task is not known to ECS any more.",
    containers: [],
    attachments: [],
  };
}
