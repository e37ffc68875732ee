/** Maps a scheduled time to its job, and a job to its scheduled time. */
import { apiVersionOf, type CronJob, controllerReference, cronJobs, type Job, jobs, type ObjectReference } from "#api";
import { clone, parseTime } from "#base";
import { formatIn, zone } from "./zone.ts";

const scheduledAnnotation = "batch.kubernetes.io/cronjob-scheduled-timestamp";
const minute = 60_000;

export const jobName = ({ metadata }: CronJob, scheduled: number): string =>
  `${metadata.name}-${Math.floor(scheduled / minute)}`;

export function jobOf(cronJob: CronJob, scheduled: number): Job {
  const { namespace } = cronJob.metadata;
  const template = cronJob.spec?.jobTemplate ?? {};
  const { labels, annotations } = template.metadata ?? {};
  const time = formatIn(zone(cronJob.spec?.timeZone ?? "UTC"), scheduled);
  return {
    metadata: {
      name: jobName(cronJob, scheduled),
      namespace,
      ...(labels ? { labels: { ...labels } } : {}),
      annotations: { ...annotations, [scheduledAnnotation]: time },
      ownerReferences: [controllerReference(cronJobs, cronJob)],
    },
    spec: clone(template.spec),
  } as Job;
}

/**
 * The scheduled time that a job of the cron job was created for, in milliseconds since the epoch; undefined for other
 * jobs.
 */
export function servedBy(cronJob: CronJob, { metadata }: Job, now: number): number | undefined {
  const time = metadata.annotations?.[scheduledAnnotation];
  const scheduled = time === undefined ? Number.NaN : parseTime(time);
  return scheduled <= now && metadata.name === jobName(cronJob, scheduled) ? scheduled : undefined;
}

export function referenceTo({ metadata }: Job): ObjectReference {
  const { namespace = "", name = "", uid = "", resourceVersion = "" } = metadata;
  return { kind: jobs.kind, namespace, name, uid, apiVersion: apiVersionOf(jobs), resourceVersion };
}
