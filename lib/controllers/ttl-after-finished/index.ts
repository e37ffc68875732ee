/** Deletes jobs that have ended for as long as they ask to be kept (upstream's ttl-after-finished controller). */
import { type Job, jobs } from "#api";
import { parseTime } from "#base";
import { type ControllerContext, defineController, type Key, type Result, Terminal } from "#reconcile";
import { ignoring } from "../ownership.ts";

/** Nobody sleeps longer than this at a stretch: timers have an end. */
const longestWait = 24 * 60 * 60_000;

const endOf = ({ status }: Job) =>
  status?.conditions?.find(({ type, status: value }) => (type === "Complete" || type === "Failed") && value === "True");

const isDue = (job: Job): boolean =>
  !job.metadata.deletionTimestamp && job.spec?.ttlSecondsAfterFinished !== undefined && endOf(job) !== undefined;

export const ttlAfterFinishedController = defineController<Job>({
  name: "ttl-after-finished",
  for: jobs,
  concerns: ({ object }) => isDue(object),
  reconcile,
});

async function reconcile({ client, clock }: ControllerContext, key: Key): Promise<Result | undefined> {
  const job = await ignoring(["NotFound"], client.get(jobs, key));
  if (!job || !isDue(job)) return undefined;
  const end = endOf(job)?.lastTransitionTime;
  if (end === undefined) {
    throw new Terminal(`unable to find the time when the Job ${key.namespace}/${key.name} finished`);
  }
  const left = parseTime(end) + (job.spec?.ttlSecondsAfterFinished ?? 0) * 1000 - clock.now();
  if (left > 0) return { requeueAfter: Math.min(left, longestWait) };
  const { uid, resourceVersion: revision } = job.metadata;
  // Its time may have been prolonged meanwhile: then the change brings it here again.
  await ignoring(["NotFound", "Conflict"], client.remove(jobs, key, { uid, revision, propagation: "Foreground" }));
  return undefined;
}
