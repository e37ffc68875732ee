import type { Pod, PodCondition } from "#api";
import { parseTime } from "#base";

/** What is looked at of a task here, in ECS's words. */
interface Task {
  taskArn: string;
  version: number;
  createdAt: string;
  lastStatus: string;
}

/**
 * Which task a pod is, and how far it was heard of. It stands in a condition of the pod: written together with the
 * rest of the status or not at all, and only by those who may write statuses.
 */
export interface TaskRecord {
  arn: string;
  /** The highest version of the task that is known; what tells of a lower one comes late. */
  version: number;
  /** When the task was made, in milliseconds since the epoch. */
  created: number;
  stopped: boolean;
  /** Which task of the pod the next one to be started is, from 0. */
  attempt: number;
  /** Tasks in a row that ended too soon. */
  failures: number;
  /** When another task is due after this one, in milliseconds since the epoch. */
  retry?: number;
}

export const recordType = "skiff.dev/FargateTask";

/** The condition that holds a record. */
export function conditionOf(record: TaskRecord, status: string): PodCondition {
  const { arn, version, created, attempt, failures, retry } = record;
  const numbers = { version, created, attempt, failures, ...(retry === undefined ? {} : { retry }) };
  const words = Object.entries(numbers).map(([name, value]) => `${name}=${value}`);
  return {
    type: recordType,
    status: record.stopped ? "False" : "True",
    reason: status,
    message: [arn, ...words].join(" "),
  };
}

/** The record in a pod's status; undefined when it has no task yet. */
export function recordOf(pod: Pod): TaskRecord | undefined {
  const condition = pod.status?.conditions?.find(({ type }) => type === recordType);
  const [arn, ...words] = condition?.message?.split(" ") ?? [];
  if (!condition || !arn) return undefined;
  const numbers = new Map(words.map((word) => word.split("=") as [string, string]));
  const read = (name: string): number => Number(numbers.get(name) ?? 0);
  return {
    arn,
    version: read("version"),
    created: read("created"),
    stopped: condition.status === "False",
    attempt: read("attempt"),
    failures: read("failures"),
    ...(numbers.has("retry") ? { retry: read("retry") } : {}),
  };
}

/** What is known after hearing of a task for the first time, or again. */
export function heardOf(task: Task, before: TaskRecord | undefined): TaskRecord {
  return {
    arn: task.taskArn,
    version: task.version,
    created: parseTime(task.createdAt),
    stopped: isStopped(task),
    attempt: before?.attempt ?? 0,
    failures: before?.failures ?? 0,
  };
}

export const isStopped = ({ lastStatus }: Pick<Task, "lastStatus">): boolean => lastStatus === "STOPPED";
