/** Removes the finalizer of pods that no job will count any more. */
import { apiVersionOf, controllerOf, isJobFinished, type Job, jobs, type Pod, pods } from "#api";
import { deepEqual, ignoreNotFound } from "#base";
import type { Client } from "#client";
import { adoptersOf } from "#controllers/workload";
import type { ControllerContext, Key, ObjectEvent } from "#reconcile";
import { isTracked } from "./job-pods.ts";
import { untrack } from "./track.ts";

/** Prefix of keys that name a pod, not a job: no job's name contains a colon. */
const prefix = "pod:";
export const podNameOf = ({ name }: Key): string | undefined =>
  name.startsWith(prefix) ? name.slice(prefix.length) : undefined;

/**
 * Keys for a change of a pod. A pod without a controller concerns the jobs that may adopt it, and itself while it has
 * the finalizer. A pod that is being deleted concerns itself too if its job is gone or has ended: another job may have
 * the same name by now.
 */
export async function keysOfOrphan(
  { type, object, previous }: ObjectEvent<Pod>,
  { client }: ControllerContext,
): Promise<Key[]> {
  const { namespace, name, labels, deletionTimestamp } = object.metadata;
  if (type === "DELETED") return [];
  const keys: Key[] = isTracked(object) ? [{ namespace, name: `${prefix}${name}` }] : [];
  if (controllerOf(object)) {
    return deletionTimestamp && keys.length > 0 && (await isAbandoned(client, object)) ? keys : [];
  }
  if (previous && deepEqual(previous.metadata.labels, labels) && !controllerOf(previous)) return keys;
  return [...keys, ...(await adoptersOf(client, jobs, object, (job) => !isJobFinished(job)))];
}

/** Whether another controller manages the job (spec.managedBy); the job and its pods are then left alone. */
export const isForeign = ({ spec }: Job): boolean =>
  spec?.managedBy !== undefined && spec.managedBy !== "kubernetes.io/job-controller";

const isJobs = (pod: Pod): boolean => {
  const owner = controllerOf(pod);
  return owner?.kind === jobs.kind && owner.apiVersion === apiVersionOf(jobs);
};

export async function untrackPod(context: ControllerContext, name: Key): Promise<void> {
  const pod = await ignoreNotFound(context.client.get(pods, name));
  if (pod && isTracked(pod) && (await isAbandoned(context.client, pod))) await untrack(context, pod);
}

async function isAbandoned(client: Client, pod: Pod): Promise<boolean> {
  const owner = controllerOf(pod);
  if (!owner) return true;
  if (!isJobs(pod)) return false;
  const job = await ignoreNotFound(client.get(jobs, { namespace: pod.metadata.namespace, name: owner.name }));
  if (job?.metadata.uid !== owner.uid) return true;
  return isJobFinished(job) && !isForeign(job);
}

/** Removes the finalizer from the pods of a deleted job. */
export async function untrackPodsOf(context: ControllerContext, { namespace, name }: Key): Promise<void> {
  const { items } = await context.client.list(pods, { namespace });
  for (const pod of items) {
    if (!isTracked(pod) || !isJobs(pod) || controllerOf(pod)?.name !== name) continue;
    if (await isAbandoned(context.client, pod)) await untrack(context, pod);
  }
}

/** Removes the finalizer from the pods of a job that has ended. */
export async function untrackPodsOfEnded(context: ControllerContext, job: Job): Promise<void> {
  const { namespace, uid = "" } = job.metadata;
  const { items } = await context.client.list(pods, { namespace, owner: uid });
  for (const pod of items) if (controllerOf(pod)?.uid === uid) await untrack(context, pod);
}
