import { deepEqual, formatTime } from "#base";
import { applySpecDefaults, dropDisabled } from "../../core/pod/index.ts";
import {
  ageColumn,
  ageOf,
  checkNonNegative,
  defineKind,
  type FieldError,
  invalidValue,
  nameColumn,
  notSupported,
  requiredValue,
  requireOneOf,
} from "../../meta/index.ts";
import { hostnameWarnings, jobColumns, specWarnings } from "../job/job.ts";
import type { JobSpec } from "../job/schema.ts";
import { validateJobSpec } from "../job/validate-spec.ts";
import { parseSchedule } from "./schedule.ts";
import { CronJob, type CronJobSpec } from "./schema.ts";
import { validateTimeZone } from "./time-zone.ts";

/** A job's name is this one's with a dash and ten digits, and may have 63 characters. */
const longestName = 52;
/**
 * When the schedule was last changed: earlier times of the new schedule do not count as missed. The server sets it;
 * clients can neither set nor remove it.
 */
export const scheduleChangedAnnotation = "skiff.dev/schedule-changed";

export const cronJobs = defineKind<CronJob>({
  group: "batch",
  version: "v1",
  kind: "CronJob",
  plural: "cronjobs",
  singular: "cronjob",
  shortNames: ["cj"],
  categories: ["all"],
  scope: "Namespaced",
  schema: CronJob,
  defaults(object) {
    object.spec ??= {} as CronJobSpec;
    const { spec } = object;
    spec.jobTemplate ??= {};
    spec.jobTemplate.spec ??= {} as JobSpec;
    spec.jobTemplate.spec.template ??= {};
    spec.jobTemplate.spec.template.spec ??= { containers: [] };
    applySpecDefaults(spec.jobTemplate.spec.template.spec);
  },
  generation: ({ spec }) => spec,
  prepareForCreate(object) {
    object.status = {};
    if (object.metadata.annotations) delete object.metadata.annotations[scheduleChangedAnnotation];
    const template = object.spec?.jobTemplate?.spec?.template?.spec;
    if (template) dropDisabled(template);
  },
  prepareForUpdate(next, previous, { now }) {
    const template = next.spec?.jobTemplate?.spec?.template?.spec;
    if (template) dropDisabled(template, previous.spec?.jobTemplate?.spec?.template?.spec);
    keepScheduleChange(next, previous, now);
  },
  warnings: ({ metadata, spec }, previous) => [
    ...(previous ? [] : hostnameWarnings(metadata.name)),
    ...(previous && deepEqual(spec, previous.spec)
      ? []
      : specWarnings(spec?.jobTemplate?.spec, "spec.jobTemplate.spec")),
  ],
  validate: ({ spec }) => validateSpec(spec ?? ({} as CronJobSpec)),
  validateCreate: ({ metadata, spec }) => [
    ...validateTimeZone(spec?.timeZone, "spec.timeZone"),
    ...validateSchedule(spec ?? ({} as CronJobSpec), false),
    ...((metadata.name?.length ?? 0) > longestName
      ? [invalidValue("metadata.name", metadata.name, "must be no more than 52 characters")]
      : []),
  ],
  validateUpdate: (next, previous) => [
    ...(next.spec?.timeZone === previous.spec?.timeZone ? [] : validateTimeZone(next.spec?.timeZone, "spec.timeZone")),
    ...validateSchedule(next.spec ?? ({} as CronJobSpec), previous.spec?.schedule?.includes("TZ") ?? false),
  ],
  subresources: { status: { type: "status" } },
  columns: [
    nameColumn,
    { name: "Schedule", type: "string", doc: "When jobs are started.", value: ({ spec }) => spec?.schedule ?? "" },
    {
      name: "Timezone",
      type: "string",
      doc: "The time zone of the schedule.",
      value: ({ spec }) => spec?.timeZone ?? "<none>",
    },
    {
      name: "Suspend",
      type: "boolean",
      doc: "Whether the schedule is suspended.",
      value: ({ spec }) => (spec?.suspend === undefined ? "<unset>" : spec.suspend ? "True" : "False"),
    },
    {
      name: "Active",
      type: "integer",
      doc: "Jobs that are running.",
      value: ({ status }) => status?.active?.length ?? 0,
    },
    {
      name: "Last Schedule",
      type: "string",
      doc: "How long ago the last job was due.",
      value: ({ status }, now) =>
        status?.lastScheduleTime === undefined ? "<none>" : ageOf(status.lastScheduleTime, now),
    },
    ageColumn,
    ...jobColumns<CronJob>(({ spec }) => spec?.jobTemplate?.spec),
  ],
});

function keepScheduleChange(next: CronJob, previous: CronJob, now: number): void {
  const changed = next.spec?.schedule !== previous.spec?.schedule || next.spec?.timeZone !== previous.spec?.timeZone;
  const since = changed ? formatTime(now) : previous.metadata.annotations?.[scheduleChangedAnnotation];
  const annotations = { ...next.metadata.annotations };
  if (since === undefined) delete annotations[scheduleChangedAnnotation];
  else annotations[scheduleChangedAnnotation] = since;
  if (Object.keys(annotations).length > 0) next.metadata.annotations = annotations;
  else delete next.metadata.annotations;
}

function validateSpec(spec: CronJobSpec): FieldError[] {
  const errors: FieldError[] = spec.schedule ? [] : [requiredValue("spec.schedule")];
  errors.push(...checkNonNegative("spec.startingDeadlineSeconds", spec.startingDeadlineSeconds));
  errors.push(...requireOneOf("spec.concurrencyPolicy", spec.concurrencyPolicy, ["Allow", "Forbid", "Replace"]));
  const template = spec.jobTemplate?.spec ?? ({} as JobSpec);
  const path = "spec.jobTemplate.spec";
  errors.push(...validateJobSpec(template, path));
  if (template.selector) {
    errors.push(invalidValue(`${path}.selector`, template.selector, "`selector` will be auto-generated"));
  }
  if (template.manualSelector) errors.push(notSupported(`${path}.manualSelector`, true, ["nil", "false"]));
  for (const field of ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] as const) {
    errors.push(...checkNonNegative(`spec.${field}`, spec[field]));
  }
  return errors;
}

function validateSchedule({ schedule, timeZone }: CronJobSpec, allowsZone: boolean): FieldError[] {
  if (!schedule) return [];
  const errors: FieldError[] = [];
  const wrong = (why: string) => errors.push(invalidValue("spec.schedule", schedule, why));
  try {
    parseSchedule(schedule);
  } catch (error) {
    wrong((error as Error).message);
  }
  if (!schedule.includes("TZ")) return errors;
  if (!allowsZone) wrong("cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
  else if (timeZone !== undefined) wrong("cannot use both timeZone field and TZ or CRON_TZ in schedule");
  return errors;
}
