import type { Job, Pod } from "#api";
import type { Client } from "#client";
import { endOf, isFailed, isSucceeded, isTracked, isValid } from "./job-pods.ts";

const first = 10_000;
const longest = 600_000;

/** Milliseconds until the next pod may be created, after so many failures in a row, the last at `last`. */
export function remaining(failures: number, last: number, now: number): number {
  if (failures === 0) return 0;
  const wait = Math.min(first * 2 ** (failures - 1), longest);
  return Math.max(0, wait - (now - last));
}

/** What is kept in memory of pods that have ended, also after their deletion. */
interface Ends {
  /** When a pod last succeeded. */
  success: number;
  /** When pods failed since then, by uid. */
  failures: Map<string, number>;
  /** Pods that failed in the same second as that success and were observed together with it: they count as earlier. */
  before: Set<string>;
}

/**
 * The end of a deleted pod is kept in memory for the life of this process. Without it a pod is replaced earlier, as
 * after a restart of upstream's controller. It only adds to what the existing pods show.
 */
const minds = new WeakMap<Client, Map<string, Ends>>();
/** The most jobs whose ends are kept in memory. */
const most = 10_000;

function endsOf(client: Client, uid: string): Ends {
  const mind = minds.get(client) ?? new Map<string, Ends>();
  minds.set(client, mind);
  const ends = mind.get(uid) ?? { success: Number.NEGATIVE_INFINITY, failures: new Map(), before: new Set<string>() };
  mind.delete(uid);
  mind.set(uid, ends);
  if (mind.size > most) mind.delete(mind.keys().next().value ?? "");
  return ends;
}

export function forgetEnds(client: Client, uid: string | undefined): void {
  minds.get(client)?.delete(uid ?? "");
}

/** Whether a failure counts. Of deleted pods, only those that have not been counted yet. */
const hasFailed = (pod: Pod, job: Job): boolean =>
  isFailed(pod, job) && (isTracked(pod) || (pod.status?.phase === "Failed" && !pod.metadata.deletionTimestamp));

function latest(times: Iterable<number>): number {
  let last = Number.NEGATIVE_INFINITY;
  for (const time of times) last = Math.max(last, time);
  return last;
}

/** Milliseconds until the job may create pods: a delay that doubles with each failure since the last success. */
export function backoff(client: Client, job: Job, pods: readonly Pod[], now: number): number {
  const ends = endsOf(client, job.metadata.uid ?? "");
  const valid = pods.filter((pod) => isValid(pod, job));
  const success = latest(valid.filter(isSucceeded).map(endOf));
  const isNew = success > ends.success;
  if (isNew) {
    ends.success = success;
    ends.before.clear();
    for (const [uid, end] of ends.failures) if (end <= success) ends.failures.delete(uid);
  }
  for (const pod of valid.filter((pod) => hasFailed(pod, job))) {
    const { uid = "" } = pod.metadata;
    const end = endOf(pod);
    if (end === ends.success && isNew) ends.before.add(uid);
    if (end >= ends.success && !ends.before.has(uid)) ends.failures.set(uid, end);
  }
  return remaining(ends.failures.size, latest(ends.failures.values()), now);
}
