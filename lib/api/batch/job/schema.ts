import type * as z from "zod";
import { PodTemplateSpec } from "../../core/pod/spec.ts";
import {
  boolean,
  int32,
  int64,
  LabelSelector,
  list,
  message,
  metadataField,
  optional,
  required,
  string,
  time,
} from "../../meta/index.ts";
import { JobSchedulingConfiguration } from "./scheduling.ts";

export const PodFailurePolicyOnExitCodesRequirement = message(
  "io.k8s.api.batch.v1.PodFailurePolicyOnExitCodesRequirement",
  () => ({
    containerName: optional(1, string, "Only this container counts. Defaults to all of them.", { isPointer: true }),
    operator: required(2, string, "In or NotIn.", { values: ["In", "NotIn"] }),
    values: required(3, list(int32), "Exit codes, in rising order.", { list: "set" }),
  }),
);
export type PodFailurePolicyOnExitCodesRequirement = z.infer<typeof PodFailurePolicyOnExitCodesRequirement>;

export const PodFailurePolicyOnPodConditionsPattern = message(
  "io.k8s.api.batch.v1.PodFailurePolicyOnPodConditionsPattern",
  () => ({
    type: required(1, string, "The type of the pod's condition."),
    status: optional(2, string, "The status that it must have.", { default: "True" }),
  }),
);
export type PodFailurePolicyOnPodConditionsPattern = z.infer<typeof PodFailurePolicyOnPodConditionsPattern>;

export const PodFailurePolicyRule = message("io.k8s.api.batch.v1.PodFailurePolicyRule", () => ({
  action: required(1, string, "What follows: FailJob, FailIndex, Ignore or Count.", {
    values: ["Count", "FailIndex", "FailJob", "Ignore"],
  }),
  onExitCodes: optional(2, PodFailurePolicyOnExitCodesRequirement, "Exit codes that the rule is about."),
  onPodConditions: optional(3, list(PodFailurePolicyOnPodConditionsPattern), "Conditions that the rule is about.", {
    list: "atomic",
  }),
}));
export type PodFailurePolicyRule = z.infer<typeof PodFailurePolicyRule>;

export const PodFailurePolicy = message("io.k8s.api.batch.v1.PodFailurePolicy", () => ({
  rules: required(1, list(PodFailurePolicyRule), "Rules; the first one that fits a failed pod decides.", {
    list: "atomic",
  }),
}));
export type PodFailurePolicy = z.infer<typeof PodFailurePolicy>;

export const SuccessPolicyRule = message("io.k8s.api.batch.v1.SuccessPolicyRule", () => ({
  succeededIndexes: optional(1, string, "Indexes of which enough must succeed, such as `0,2-4`.", { isPointer: true }),
  succeededCount: optional(2, int32, "How many indexes must succeed. Defaults to all of those named.", {
    isPointer: true,
  }),
}));
export type SuccessPolicyRule = z.infer<typeof SuccessPolicyRule>;

export const SuccessPolicy = message("io.k8s.api.batch.v1.SuccessPolicy", () => ({
  rules: required(1, list(SuccessPolicyRule), "Rules; as soon as one of them is met the job has succeeded.", {
    list: "atomic",
  }),
}));
export type SuccessPolicy = z.infer<typeof SuccessPolicy>;

export const JobSpec = message("io.k8s.api.batch.v1.JobSpec", () => ({
  parallelism: optional(1, int32, "How many pods may run at once.", { isPointer: true }),
  completions: optional(2, int32, "How many pods must succeed; without it one success ends the job.", {
    isPointer: true,
  }),
  activeDeadlineSeconds: optional(3, int64, "How long the job may run, in seconds.", { isPointer: true }),
  selector: optional(4, LabelSelector, "Which pods belong to the job; made by the server."),
  manualSelector: optional(5, boolean, "Whether the selector is the client's own.", { isPointer: true }),
  template: required(6, PodTemplateSpec, "What the pods are made from."),
  backoffLimit: optional(7, int32, "How many failures the job bears.", { isPointer: true }),
  ttlSecondsAfterFinished: optional(8, int32, "How long the job stays after its end, in seconds.", { isPointer: true }),
  completionMode: optional(9, string, "NonIndexed, or Indexed: each pod works on an index of its own.", {
    isPointer: true,
    values: ["Indexed", "NonIndexed"],
  }),
  suspend: optional(10, boolean, "Whether the job rests: it has no pods then.", { isPointer: true }),
  podFailurePolicy: optional(11, PodFailurePolicy, "What follows from which failures."),
  backoffLimitPerIndex: optional(12, int32, "How many failures each index bears.", { isPointer: true }),
  maxFailedIndexes: optional(13, int32, "How many indexes may fail before the job does.", { isPointer: true }),
  podReplacementPolicy: optional(14, string, "When a pod is replaced: TerminatingOrFailed, or Failed.", {
    isPointer: true,
    values: ["Failed", "TerminatingOrFailed"],
  }),
  managedBy: optional(15, string, "Who looks after the job; for good.", { isPointer: true }),
  successPolicy: optional(16, SuccessPolicy, "When the job has succeeded before all of it has."),
  scheduling: optional(17, JobSchedulingConfiguration, "How the pods are scheduled together.", { gated: true }),
}));
export type JobSpec = z.infer<typeof JobSpec>;

export const JobCondition = message("io.k8s.api.batch.v1.JobCondition", () => ({
  type: required(1, string, "Complete, Failed, Suspended, FailureTarget or SuccessCriteriaMet."),
  status: required(2, string, "True, False or Unknown."),
  lastProbeTime: optional(3, time, "When the condition was last looked at.", { printed: true }),
  lastTransitionTime: optional(4, time, "When the status last changed.", { printed: true }),
  reason: optional(5, string, "Why, as one word for programs."),
  message: optional(6, string, "Why, as a sentence for people."),
}));
export type JobCondition = z.infer<typeof JobCondition>;

export const UncountedTerminatedPods = message("io.k8s.api.batch.v1.UncountedTerminatedPods", () => ({
  succeeded: optional(1, list(string), "Uids of pods that succeeded and are not counted yet.", { list: "set" }),
  failed: optional(2, list(string), "Uids of pods that failed and are not counted yet.", { list: "set" }),
}));
export type UncountedTerminatedPods = z.infer<typeof UncountedTerminatedPods>;

export const JobStatus = message("io.k8s.api.batch.v1.JobStatus", () => ({
  conditions: optional(1, list(JobCondition), "What is known of the job's end.", { list: "atomic", mergeKey: "type" }),
  startTime: optional(2, time, "When the job began, or was last resumed."),
  completionTime: optional(3, time, "When the job succeeded."),
  active: optional(4, int32, "Pods that wait or run and are not being deleted."),
  succeeded: optional(5, int32, "Pods that succeeded."),
  failed: optional(6, int32, "Pods that failed."),
  completedIndexes: optional(7, string, "Indexes that have succeeded, such as `1,3-5,7`."),
  uncountedTerminatedPods: optional(8, UncountedTerminatedPods, "Pods that have ended and still hold their finalizer."),
  ready: optional(9, int32, "Pods that are ready and not being deleted.", { isPointer: true }),
  failedIndexes: optional(10, string, "Indexes that have failed for good, such as `1,3-5,7`.", { isPointer: true }),
  terminating: optional(11, int32, "Pods that are being deleted.", { isPointer: true }),
}));
export type JobStatus = z.infer<typeof JobStatus>;

export const Job = message("io.k8s.api.batch.v1.Job", () => ({
  metadata: metadataField(),
  spec: optional(2, JobSpec, "The wanted state of the job.", { printed: true }),
  status: optional(3, JobStatus, "The observed state of the job.", { printed: true }),
}));
export type Job = z.infer<typeof Job>;
