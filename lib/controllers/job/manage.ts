/** Creates and deletes pods until the desired number is active. */
import { type Job, jobs, type Pod, trackingFinalizer } from "#api";
import { createPod, deletePod, inDeletionOrder, isReady, isTerminating, slowStart } from "#controllers/workload";
import type { ControllerContext } from "#reconcile";
import { backoff } from "./backoff.ts";
import { dueIndexes, generateNameFor, type Indexes, pendingIndexes, splitRepeated, templateFor } from "./indexed.ts";
import { isIndexed, isPerIndex, replacesEndedOnly } from "./job-pods.ts";
import { type PodCounts, untrack } from "./track.ts";

/** The most pods that one reconcile creates or deletes. */
const burst = 500;

export interface Work {
  context: ControllerContext;
  job: Job;
  /** All pods of the job. */
  pods: readonly Pod[];
  /** Pods that have not ended and are not being deleted. */
  active: readonly Pod[];
  succeeded: number;
  indexes?: Indexes | undefined;
}

export const podCountsOf = ({ pods, active }: Work): PodCounts => ({
  active: active.length,
  ready: active.filter(isReady).length,
  terminating: pods.filter(isTerminating).length,
});

/** How many pods should be active now. */
function wantedActive({ spec }: Job, active: number, succeeded: number): number {
  const parallelism = spec?.parallelism ?? 1;
  // Where one success ends the job, the pods that run then may finish.
  if (spec?.completions === undefined) return succeeded > 0 ? active : parallelism;
  return Math.max(0, Math.min(parallelism, spec.completions - succeeded));
}

export async function manage(work: Work): Promise<PodCounts> {
  const { job, active } = work;
  if (job.spec?.suspend) return release(work, toRemove(work, active.length));
  const wanted = wantedActive(job, active.length, work.succeeded);
  const surplus = toRemove(work, Math.max(0, active.length - wanted));
  // One reconcile either deletes or creates pods.
  if (surplus.length > 0) return release(work, surplus.slice(0, burst));
  const counts = podCountsOf(work);
  const missing = wanted - active.length - (replacesEndedOnly(job) ? counts.terminating : 0);
  return missing > 0 ? make(work, counts, Math.min(missing, burst)) : counts;
}

/** Surplus pods, at least `atLeast`; in an Indexed job also those whose index is not needed. */
function toRemove({ job, active }: Work, atLeast: number): Pod[] {
  const { extra, left } = isIndexed(job) ? splitRepeated(job, active) : { extra: [], left: active };
  const more = atLeast - extra.length;
  return more > 0 ? [...extra, ...inDeletionOrder(left).slice(0, more)] : extra;
}

/** Deletes pods that do not count as failed: they lose their finalizer first, so that their end is not counted. */
async function release(work: Work, pods: readonly Pod[]): Promise<PodCounts> {
  const { context } = work;
  return takeAway(work, pods, async (pod) => {
    await untrack(context, pod);
    await deletePod({ context, kind: jobs, owner: work.job }, pod);
  });
}

/** Deletes the active pods; they keep their finalizer until they have been counted. */
export const end = (work: Work): Promise<PodCounts> =>
  takeAway(work, work.active, (pod) => deletePod({ context: work.context, kind: jobs, owner: work.job }, pod));

async function takeAway(work: Work, pods: readonly Pod[], one: (pod: Pod) => Promise<void>): Promise<PodCounts> {
  const results = await Promise.allSettled(pods.map(one));
  const gone = pods.filter((_, index) => results[index]?.status === "fulfilled");
  const failed = results.find((result) => result.status === "rejected");
  const { active, ready, terminating } = podCountsOf(work);
  return {
    active: active - gone.length,
    ready: ready - gone.filter(isReady).length,
    terminating: terminating + gone.length,
    ...(failed ? { error: failed.reason } : {}),
  };
}

async function make(work: Work, counts: PodCounts, missing: number): Promise<PodCounts> {
  const { context, job, pods, indexes } = work;
  const now = context.clock.now();
  if (!isPerIndex(job)) {
    const wait = backoff(context.client, job, pods, now);
    if (wait > 0) return { ...counts, wait };
  }
  let due: (number | undefined)[] = Array.from({ length: missing });
  if (indexes) {
    const found = dueIndexes(pendingIndexes(job, pods, indexes, missing), indexes, now);
    if (found.wait > 0) return { ...counts, wait: found.wait };
    due = found.due;
  }
  let made = 0;
  const { error } = await slowStart(due.length, async (place) => {
    if (await makeOne(work, due[place])) made++;
  });
  return { ...counts, active: counts.active + made, ...(error === undefined ? {} : { error }) };
}

function makeOne({ context, job, indexes }: Work, index: number | undefined): Promise<Pod | undefined> {
  const template =
    index === undefined ? (job.spec?.template ?? {}) : templateFor(job, index, indexes?.replaced.get(index));
  const { metadata } = template;
  const finalizers = [...new Set([...(metadata?.finalizers ?? []), trackingFinalizer])];
  return createPod(
    { context, kind: jobs, owner: job },
    { ...template, metadata: { ...metadata, finalizers } },
    index === undefined ? undefined : { generateName: generateNameFor(job, index) },
  );
}
