import type { Pod } from "#api";
import { parseTime } from "#base";
import { backoffBounds } from "#kubelet";
import type { Task, TaskContainer } from "./task.ts";

/** The node's own reasons for stopping a task; ECS reports them again when the task has stopped. */
export const stopReasons = {
  deleted: "Skiff: the pod is deleted",
  over: "Skiff: the pod has ended",
  unowned: "Skiff: the pod does not exist",
  deadline: "Skiff: the pod was active for longer than its deadline",
  liveness: "Skiff: a container failed its liveness probe",
};

/** The message of a pod that has passed its deadline. */
export const tooLong = "Pod was active on the node longer than the specified deadline";

export type Outcome =
  /** The pod has ended. */
  | { is: "over"; phase: "Succeeded" | "Failed"; reason?: string; message?: string }
  /** The pod gets another task, after a back-off. `ran`: containers had run. */
  | { is: "again"; ran: boolean };

/** Stop codes of tasks that another party has ended: the pod fails as if its node had failed. */
const fromOutside = new Set(["UserInitiated", "ServiceSchedulerInitiated", "SpotInterruption", "TerminationNotice"]);

/**
 * What a stopped task means for its pod.
 *
 * - Ended by another party: as when a node fails, the pod has failed, and its owner creates another pod.
 * - Never started: the pod gets another task, with any restart policy: so does a kubelet with sandboxes and images.
 * - A container has ended: the restart policy decides. If it requires a restart, the pod gets another task, as it would
 *   get another sandbox: ECS restarts a container in place only after it has run for a minute.
 */
export function outcomeOf(pod: Pod, task: Task): Outcome {
  const { stopCode = "", stoppedReason = "" } = task;
  if (stoppedReason === stopReasons.deadline) {
    return { is: "over", phase: "Failed", reason: "DeadlineExceeded", message: tooLong };
  }
  const { restartPolicy = "Always", containers = [] } = pod.spec ?? {};
  const probed = stoppedReason === stopReasons.liveness;
  if (stopCode === "TaskNotFound" || (fromOutside.has(stopCode) && !probed)) {
    return { is: "over", phase: "Failed", reason: "Terminated", message: stoppedReason };
  }
  const find = (name: string): TaskContainer | undefined => task.containers.find((each) => each.name === name);
  const succeeded = !probed && containers.every(({ name }) => find(name)?.exitCode === 0);
  const ran = probed || hasBegun(pod, task);
  if (!ran) return { is: "again", ran };
  if (restartPolicy === "Always" || (restartPolicy === "OnFailure" && !succeeded)) return { is: "again", ran };
  return { is: "over", phase: succeeded ? "Succeeded" : "Failed" };
}

/**
 * Whether the pod itself ended the task: one of its containers ended, or an init container failed. Containers that
 * ended because another image could not be pulled do not count, nor do containers that AWS adds to a task.
 */
function hasBegun({ spec }: Pod, task: Task): boolean {
  const mains = new Set(spec?.containers.map(({ name }) => name));
  const inits = new Set(spec?.initContainers?.map(({ name }) => name));
  const own = task.containers.filter(({ name }) => mains.has(name) || inits.has(name));
  if (own.some((each) => pullFailureOf(each, task) !== undefined)) return false;
  return own.some((each) => hasRun(each) && (mains.has(each.name) || each.exitCode !== 0));
}

/** The last phase of a deleted pod, by its containers' exit codes, as upstream's kubelet decides it. */
export function lastPhase(pod: Pod, task: Task): "Succeeded" | "Failed" {
  const names = new Set(pod.spec?.containers.map(({ name }) => name));
  const mains = task.containers.filter(({ name }) => names.has(name));
  return mains.length > 0 && mains.every(({ exitCode }) => exitCode === 0) ? "Succeeded" : "Failed";
}

export const hasRun = ({ exitCode }: TaskContainer): boolean => exitCode !== undefined;

const pullFailure = /CannotPull(?:ECR)?Container(?:Error)?|CannotPullImageManifestError|ImagePull/;

/** The reason why a container's image could not be pulled; undefined if that is not its failure. */
export function pullFailureOf({ reason = "", exitCode }: TaskContainer, task: Task): string | undefined {
  if (exitCode !== undefined) return undefined;
  if (pullFailure.test(reason)) return reason;
  // If no container has the reason, the task has it, for all containers that have not run.
  const said = task.containers.some((each) => pullFailure.test(each.reason ?? ""));
  const { stoppedReason = "" } = task;
  return !said && pullFailure.test(stoppedReason) ? stoppedReason : undefined;
}

/** Whether a task ran long enough to reset the back-off (as upstream's kubelet does after ten minutes). */
export const isForgiven = ({ startedAt, stoppedAt }: Task): boolean =>
  startedAt !== undefined &&
  stoppedAt !== undefined &&
  parseTime(stoppedAt) - parseTime(startedAt) >= backoffBounds.reset;

/** Milliseconds until the next task, after so many failures in a row. */
export const backoffOf = (failures: number): number =>
  Math.min(backoffBounds.first * 2 ** Math.max(0, failures - 1), backoffBounds.longest);
