import type * as z from "zod";
import { int32, LabelSelector, list, message, optional, required, string } from "../../meta/index.ts";
import { NodeSelector, NodeSelectorTerm } from "../topology.ts";

export const PreferredSchedulingTerm = message("io.k8s.api.core.v1.PreferredSchedulingTerm", () => ({
  weight: required(1, int32, "How much it counts, 1 to 100."),
  preference: required(2, NodeSelectorTerm, "The preferred nodes."),
}));
export type PreferredSchedulingTerm = z.infer<typeof PreferredSchedulingTerm>;

export const NodeAffinity = message("io.k8s.api.core.v1.NodeAffinity", () => ({
  requiredDuringSchedulingIgnoredDuringExecution: optional(1, NodeSelector, "Nodes that the pod must run on."),
  preferredDuringSchedulingIgnoredDuringExecution: optional(
    2,
    list(PreferredSchedulingTerm),
    "Nodes that the pod should run on.",
    { list: "atomic" },
  ),
}));
export type NodeAffinity = z.infer<typeof NodeAffinity>;

export const PodAffinityTerm = message("io.k8s.api.core.v1.PodAffinityTerm", () => ({
  labelSelector: optional(1, LabelSelector, "Label selector of the other pods."),
  namespaces: optional(2, list(string), "Their namespaces. Without these and a selector, the pod's own.", {
    list: "atomic",
  }),
  topologyKey: required(3, string, "The node label whose value defines the topology domain."),
  namespaceSelector: optional(4, LabelSelector, "Their namespaces, by labels."),
  matchLabelKeys: optional(5, list(string), "Labels that the other pods must share with this one.", { list: "atomic" }),
  mismatchLabelKeys: optional(6, list(string), "Labels that the other pods must not share with this one.", {
    list: "atomic",
  }),
}));
export type PodAffinityTerm = z.infer<typeof PodAffinityTerm>;

export const WeightedPodAffinityTerm = message("io.k8s.api.core.v1.WeightedPodAffinityTerm", () => ({
  weight: required(1, int32, "How much it counts, 1 to 100."),
  podAffinityTerm: required(2, PodAffinityTerm, "The pod affinity term."),
}));
export type WeightedPodAffinityTerm = z.infer<typeof WeightedPodAffinityTerm>;

export const PodAffinity = message("io.k8s.api.core.v1.PodAffinity", () => ({
  requiredDuringSchedulingIgnoredDuringExecution: optional(
    1,
    list(PodAffinityTerm),
    "Pods that this one must be near.",
    { list: "atomic" },
  ),
  preferredDuringSchedulingIgnoredDuringExecution: optional(
    2,
    list(WeightedPodAffinityTerm),
    "Pods that this one should be near.",
    { list: "atomic" },
  ),
}));
export type PodAffinity = z.infer<typeof PodAffinity>;

export const PodAntiAffinity = message("io.k8s.api.core.v1.PodAntiAffinity", () => ({
  requiredDuringSchedulingIgnoredDuringExecution: optional(
    1,
    list(PodAffinityTerm),
    "Pods that this one must not be near.",
    { list: "atomic" },
  ),
  preferredDuringSchedulingIgnoredDuringExecution: optional(
    2,
    list(WeightedPodAffinityTerm),
    "Pods that this one should not be near.",
    { list: "atomic" },
  ),
}));
export type PodAntiAffinity = z.infer<typeof PodAntiAffinity>;

export const Affinity = message("io.k8s.api.core.v1.Affinity", () => ({
  nodeAffinity: optional(1, NodeAffinity, "Node affinity."),
  podAffinity: optional(2, PodAffinity, "Pod affinity."),
  podAntiAffinity: optional(3, PodAntiAffinity, "Pod anti-affinity."),
}));
export type Affinity = z.infer<typeof Affinity>;

export const TopologySpreadConstraint = message("io.k8s.api.core.v1.TopologySpreadConstraint", () => ({
  maxSkew: required(1, int32, "Maximum difference of pods between topology domains."),
  topologyKey: required(2, string, "The node label whose value defines the topology domain."),
  whenUnsatisfiable: required(3, string, "DoNotSchedule or ScheduleAnyway.", {
    values: ["DoNotSchedule", "ScheduleAnyway"],
  }),
  labelSelector: optional(4, LabelSelector, "The pods that are counted."),
  minDomains: optional(5, int32, "Minimum number of topology domains.", { isPointer: true }),
  nodeAffinityPolicy: optional(6, string, "Whether nodes out of the pod's reach count: Honor or Ignore.", {
    isPointer: true,
    values: ["Honor", "Ignore"],
  }),
  nodeTaintsPolicy: optional(7, string, "Whether nodes with taints count: Honor or Ignore.", {
    isPointer: true,
    values: ["Honor", "Ignore"],
  }),
  matchLabelKeys: optional(8, list(string), "Labels that counted pods share with this one.", { list: "atomic" }),
}));
export type TopologySpreadConstraint = z.infer<typeof TopologySpreadConstraint>;
