import type { Pod, PodCondition } from "#api";
import { parseTime } from "#base";

/** The used fields of a task, as ECS names them. */
interface Task {
  taskArn: string;
  version: number;
  createdAt: string;
  lastStatus: string;
}

/**
 * A pod's task, and its last known state. It is stored in a condition of the pod: written with the rest of the status
 * or not at all, and only by clients that may write statuses.
 */
export interface TaskRecord {
  arn: string;
  /** The highest known version of the task; a report with a lower one is late. */
  version: number;
  /** When the task was created, in milliseconds since the epoch. */
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

/** The record in a pod's status; undefined without a task. */
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

/** The record after a report about a task. */
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
