/**
 * Runs pods until enough of them have succeeded or too many have failed (upstream's job controller). All state is in
 * the job and its pods: a reconcile may start again after a crash at any point.
 */

import { isJobFinished, type Job, jobs, type Pod, pods } from "#api";
import { ignoreNotFound } from "#base";
import { type ControllerContext, defineController, type Key, type Result, watching } from "#reconcile";
import { forgetEnds } from "./backoff.ts";
import { isForeign, keysOfOrphan, podNameOf, untrackPod, untrackPodsOf, untrackPodsOfEnded } from "./orphans.ts";
import { sync } from "./sync.ts";

export const jobController = defineController<Job>({
  name: "job",
  for: jobs,
  owns: [pods],
  watches: [watching<Pod>(pods, keysOfOrphan)],
  reconcile,
});

async function reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> {
  const name = podNameOf(key);
  if (name !== undefined) {
    await untrackPod(context, { namespace: key.namespace, name });
    return undefined;
  }
  const job = await ignoreNotFound(context.client.get(jobs, key));
  if (!job) {
    await untrackPodsOf(context, key);
    return undefined;
  }
  if (isForeign(job)) return undefined;
  if (!isJobFinished(job)) return sync(context, job);
  forgetEnds(context.client, job.metadata.uid);
  await untrackPodsOfEnded(context, job);
  return undefined;
}
