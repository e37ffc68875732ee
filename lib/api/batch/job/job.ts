import { deepEqual, parseTime } from "#base";
import type { PodTemplateSpec } from "../../core/index.ts";
import { applySpecDefaults, dropDisabled, podWarnings } from "../../core/pod/index.ts";
import {
  ageColumn,
  type Column,
  defineKind,
  dnsLabelErrors,
  humanDuration,
  type KubernetesObject,
  type LabelSelector,
  labelSelectorText,
  nameColumn,
} from "../../meta/index.ts";
import { nameLabel, oldNameLabel, oldUidLabel, uidLabel } from "./facts.ts";
import { finishedCondition } from "./finished.ts";
import { Job, type JobSpec } from "./schema.ts";
import { isIndexed, validateJob } from "./validate-spec.ts";
import { isTrue, validateStatus } from "./validate-status.ts";
import { validateJobUpdate } from "./validate-update.ts";

const unlimited = 2147483647;

export const jobs = defineKind<Job>({
  group: "batch",
  version: "v1",
  kind: "Job",
  plural: "jobs",
  singular: "job",
  categories: ["all"],
  scope: "Namespaced",
  schema: Job,
  // For the sake of old clients: their pods outlived a job.
  defaultPropagation: "orphan",
  deleteWarning: [
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background",
    "to remove them or set propagationPolicy=Orphan to suppress this warning",
  ].join(" "),
  defaults: applyDefaults,
  generation: ({ spec }) => spec,
  prepareForCreate(object) {
    object.status = {};
    object.spec ??= {} as JobSpec;
    if (!object.spec.manualSelector) generateSelector(object, object.spec);
    // Upstream fills these in when it reads the object again.
    takeLabels(object);
    if (object.spec.template?.spec) dropDisabled(object.spec.template.spec);
  },
  prepareForUpdate(next, previous) {
    if (next.spec?.template?.spec) dropDisabled(next.spec.template.spec, previous.spec?.template?.spec);
  },
  warnings: ({ metadata, spec }, previous) => [
    ...(previous ? [] : hostnameWarnings(metadata.name)),
    ...(previous && deepEqual(spec, previous.spec) ? [] : specWarnings(spec, "spec")),
  ],
  validate: validateJob,
  validateUpdate: validateJobUpdate,
  subresources: { status: { type: "status", validate: validateStatus } },
  fields: { "status.successful": ({ status }) => String(status?.succeeded ?? 0) },
  columns: [
    nameColumn,
    { name: "Status", type: "string", doc: "Status of the job.", value: statusText },
    { name: "Completions", type: "string", doc: "Succeeded pods of the desired number.", value: completionsText },
    { name: "Duration", type: "string", doc: "How long the job has taken.", value: durationText },
    ageColumn,
    ...jobColumns<Job>(({ spec }) => spec),
  ],
});

function applyDefaults(object: Job): void {
  object.spec ??= {} as JobSpec;
  const { spec } = object;
  spec.template ??= {};
  spec.template.spec ??= { containers: [] };
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : unlimited;
  spec.completionMode ??= "NonIndexed";
  spec.suspend ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? "Failed" : "TerminatingOrFailed";
  spec.manualSelector ??= false;
  takeLabels(object);
  applySpecDefaults(spec.template.spec);
}

/** A job without labels has its pods' labels. */
function takeLabels({ metadata, spec }: Job): void {
  const labels = spec?.template?.metadata?.labels;
  if (labels && Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels };
}

/** Labels that only this job's pods have, and a selector for them. What a client has set stays, for validation. */
function generateSelector(object: Job, spec: JobSpec): void {
  const { name = "", uid = "" } = object.metadata;
  spec.template ??= {};
  spec.template.metadata ??= {};
  const made = { [oldNameLabel]: name, [nameLabel]: name, [oldUidLabel]: uid, [uidLabel]: uid };
  spec.template.metadata.labels = { ...made, ...spec.template.metadata.labels };
  spec.selector ??= {};
  spec.selector.matchLabels = { [uidLabel]: uid, ...spec.selector.matchLabels };
}

/** A warning for names that pods' host names are made from. */
export function hostnameWarnings(name: string | undefined): string[] {
  const wrong = dnsLabelErrors(name ?? "");
  if (wrong.length === 0) return [];
  const why = "this is used in Pod names and hostnames, which can result in surprising behavior";
  return [`metadata.name: ${why}; a DNS label is recommended: [${wrong.join(" ")}]`];
}

export function specWarnings(spec: JobSpec | undefined, path: string): string[] {
  if (!spec) return [];
  const isVast = isIndexed(spec) && (spec.completions ?? 0) > 100_000 && (spec.parallelism ?? 0) > 10_000;
  const when = "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4";
  const what = "Kubernetes might not be able to track completedIndexes when a big number of indexes fail";
  return [...(isVast ? [`${path}: ${when}, ${what}`] : []), ...podWarnings(spec.template ?? {}, `${path}.template`)];
}

function statusText(job: Job): string {
  const { metadata, status } = job;
  const finished = finishedCondition(job);
  if (finished) return finished.type;
  if (metadata.deletionTimestamp) return "Terminating";
  for (const type of ["Suspended", "FailureTarget", "SuccessCriteriaMet"]) if (isTrue(status, type)) return type;
  return "Running";
}

function completionsText({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function durationText({ status }: Job, now: number): string {
  if (status?.startTime === undefined) return "";
  const end = status.completionTime === undefined ? now : parseTime(status.completionTime);
  return humanDuration(end - parseTime(status.startTime));
}

interface Made {
  template?: PodTemplateSpec | undefined;
  selector?: LabelSelector | undefined;
}

/** The columns that only wide output shows. */
export function jobColumns<T extends KubernetesObject>(madeFrom: (object: T) => Made | undefined): Column<T>[] {
  const containersOf = (object: T) => madeFrom(object)?.template?.spec?.containers ?? [];
  const list = (object: T, part: "name" | "image"): string =>
    containersOf(object)
      .map((container) => container[part] ?? "")
      .join(",");
  return [
    {
      name: "Containers",
      type: "string",
      priority: 1,
      doc: "Names of the containers.",
      value: (object) => list(object, "name"),
    },
    {
      name: "Images",
      type: "string",
      priority: 1,
      doc: "Images of the containers.",
      value: (object) => list(object, "image"),
    },
    {
      name: "Selector",
      type: "string",
      priority: 1,
      doc: "Label selector of its pods.",
      value(object) {
        const selector = madeFrom(object)?.selector;
        return selector ? labelSelectorText(selector) : "<none>";
      },
    },
  ];
}
