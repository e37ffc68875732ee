/**
 * How the pods of a job are scheduled together: a field behind a gate that is off. Its members are checked for their
 * types and then passed over with it, as upstream does.
 */
import type * as z from "zod";
import { int32, list, message, optional, required, string } from "../../meta/index.ts";

const group = "io.k8s.api.scheduling.v1alpha3";

const Basic = message(`${group}.WorkloadPodGroupBasicSchedulingPolicy`, () => ({}));
const Gang = message(`${group}.WorkloadPodGroupGangSchedulingPolicy`, () => ({
  minCount: optional(1, int32, "Pods that must be schedulable at the same time.", { isPointer: true }),
}));
const SchedulingPolicy = message(`${group}.WorkloadPodGroupSchedulingPolicy`, () => ({
  basic: optional(1, Basic, "Each pod is scheduled alone."),
  gang: optional(2, Gang, "The pods are scheduled together."),
}));

const TopologyConstraint = message(`${group}.TopologyConstraint`, () => ({
  key: required(1, string, "The node label whose value defines the topology domain."),
}));
const SchedulingConstraints = message(`${group}.WorkloadPodGroupSchedulingConstraints`, () => ({
  topology: optional(1, list(TopologyConstraint), "The topology in which the pods run together.", { list: "atomic" }),
}));

const Single = message(`${group}.WorkloadPodGroupSingleDisruptionMode`, () => ({}));
const All = message(`${group}.WorkloadPodGroupAllDisruptionMode`, () => ({}));
const DisruptionMode = message(`${group}.WorkloadPodGroupDisruptionMode`, () => ({
  single: optional(1, Single, "Pods may be preempted one by one."),
  all: optional(2, All, "Pods are preempted together."),
}));

const ResourceClaim = message(`${group}.WorkloadPodGroupResourceClaim`, () => ({
  name: required(1, string, "The claim's name in the job."),
  resourceClaimName: optional(2, string, "An existing ResourceClaim.", { isPointer: true }),
  resourceClaimTemplateName: optional(3, string, "Template of a claim.", { isPointer: true }),
}));

export const JobSchedulingConfiguration = message("io.k8s.api.batch.v1.JobSchedulingConfiguration", () => ({
  schedulingPolicy: optional(1, SchedulingPolicy, "Pods that must be schedulable at the same time."),
  schedulingConstraints: optional(2, SchedulingConstraints, "Its locality."),
  disruptionMode: optional(3, DisruptionMode, "Whether they may be preempted one by one."),
  resourceClaims: optional(4, list(ResourceClaim), "Resource claims that they share.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
  }),
}));
export type JobSchedulingConfiguration = z.infer<typeof JobSchedulingConfiguration>;
