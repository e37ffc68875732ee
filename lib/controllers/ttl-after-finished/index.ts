/** Deletes jobs a given time after they have ended (upstream's ttl-after-finished controller). */
import { finishedCondition, isJobFinished, type Job, jobs } from "#api";
import { ignoreNotFound, ignoreReasons, parseTime } from "#base";
import { type ControllerContext, defineController, type Key, type Result, Terminal } from "#reconcile";

/** The longest wait in milliseconds: timers are limited. */
const longestWait = 24 * 60 * 60_000;

const isDue = (job: Job): boolean =>
  !job.metadata.deletionTimestamp && job.spec?.ttlSecondsAfterFinished !== undefined && isJobFinished(job);

export const ttlAfterFinishedController = defineController<Job>({
  name: "ttl-after-finished",
  for: jobs,
  concerns: ({ object }) => isDue(object),
  reconcile,
});

async function reconcile({ client, clock }: ControllerContext, key: Key): Promise<Result | undefined> {
  const job = await ignoreNotFound(client.get(jobs, key));
  if (!job || !isDue(job)) return undefined;
  const end = finishedCondition(job)?.lastTransitionTime;
  if (end === undefined) {
    throw new Terminal(`unable to find the time when the Job ${key.namespace}/${key.name} finished`);
  }
  const left = parseTime(end) + (job.spec?.ttlSecondsAfterFinished ?? 0) * 1000 - clock.now();
  if (left > 0) return { requeueAfter: Math.min(left, longestWait) };
  const { uid, resourceVersion: revision } = job.metadata;
  // If its time has been extended meanwhile, that change triggers the key again.
  await ignoreReasons(["NotFound", "Conflict"], client.delete(jobs, key, { uid, revision, propagation: "Foreground" }));
  return undefined;
}
