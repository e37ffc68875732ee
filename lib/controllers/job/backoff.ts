import type { Job, Pod } from "#api";
import type { Client } from "#client";
import { endOf, isFailed, isSucceeded, isTracked, isValid } from "./job-pods.ts";

const first = 10_000;
const longest = 600_000;

/** Milliseconds until a pod may be made again after so many failures in a row, the last one at `last`. */
export function remaining(failures: number, last: number, now: number): number {
  if (failures === 0) return 0;
  const wait = Math.min(first * 2 ** (failures - 1), longest);
  return Math.max(0, wait - (now - last));
}

/** What is remembered of pods that have ended, also when they have gone: when, and whether well. */
interface Ends {
  success: number;
  /** When pods failed after the last success, by uid. */
  failures: Map<string, number>;
}

/**
 * Deleted pods take their end along, so it is kept in mind for as long as this process lives; where it is not, a pod
 * is replaced the sooner, as after a restart of upstream's controller. What is kept only adds to what the pods that
 * are there tell.
 */
const minds = new WeakMap<Client, Map<string, Ends>>();
/** As many jobs as are kept in mind. */
const most = 10_000;

function endsOf(client: Client, uid: string): Ends {
  const mind = minds.get(client) ?? new Map<string, Ends>();
  minds.set(client, mind);
  const ends = mind.get(uid) ?? { success: Number.NEGATIVE_INFINITY, failures: new Map() };
  mind.delete(uid);
  mind.set(uid, ends);
  if (mind.size > most) mind.delete(mind.keys().next().value ?? "");
  return ends;
}

export function forgetEnds(client: Client, uid: string | undefined): void {
  minds.get(client)?.delete(uid ?? "");
}

/** Whether a failure counts: of what has been taken away, only what was still to be counted. */
const hasFailed = (pod: Pod, job: Job): boolean =>
  isFailed(pod, job) && (isTracked(pod) || (pod.status?.phase === "Failed" && !pod.metadata.deletionTimestamp));

/** Milliseconds until the job may make pods again: a delay that doubles with each failure since the last success. */
export function backoff(client: Client, job: Job, pods: readonly Pod[], now: number): number {
  const ends = endsOf(client, job.metadata.uid ?? "");
  for (const pod of pods) {
    if (!isValid(pod, job)) continue;
    if (isSucceeded(pod)) ends.success = Math.max(ends.success, endOf(pod));
    else if (hasFailed(pod, job)) ends.failures.set(pod.metadata.uid ?? "", endOf(pod));
  }
  for (const [uid, end] of ends.failures) if (end <= ends.success) ends.failures.delete(uid);
  return remaining(ends.failures.size, Math.max(...ends.failures.values()), now);
}
