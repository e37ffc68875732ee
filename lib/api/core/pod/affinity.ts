import type * as z from "zod";
import { int32, LabelSelector, list, message, optional, required, string } from "../../meta/index.ts";
import { NodeSelector, NodeSelectorTerm } from "../topology.ts";

export const PreferredSchedulingTerm = message("io.k8s.api.core.v1.PreferredSchedulingTerm", () => ({
  weight: required(1, int32),
  preference: required(2, NodeSelectorTerm),
}));
export type PreferredSchedulingTerm = z.infer<typeof PreferredSchedulingTerm>;

export const NodeAffinity = message("io.k8s.api.core.v1.NodeAffinity", () => ({
  requiredDuringSchedulingIgnoredDuringExecution: optional(1, NodeSelector),
  preferredDuringSchedulingIgnoredDuringExecution: optional(2, list(PreferredSchedulingTerm), undefined, {
    list: "atomic",
  }),
}));
export type NodeAffinity = z.infer<typeof NodeAffinity>;

export const PodAffinityTerm = message("io.k8s.api.core.v1.PodAffinityTerm", () => ({
  labelSelector: optional(1, LabelSelector),
  namespaces: optional(2, list(string), undefined, { list: "atomic" }),
  topologyKey: required(3, string),
  namespaceSelector: optional(4, LabelSelector),
  matchLabelKeys: optional(5, list(string), undefined, { list: "atomic" }),
  mismatchLabelKeys: optional(6, list(string), undefined, { list: "atomic" }),
}));
export type PodAffinityTerm = z.infer<typeof PodAffinityTerm>;

export const WeightedPodAffinityTerm = message("io.k8s.api.core.v1.WeightedPodAffinityTerm", () => ({
  weight: required(1, int32),
  podAffinityTerm: required(2, PodAffinityTerm),
}));
export type WeightedPodAffinityTerm = z.infer<typeof WeightedPodAffinityTerm>;

export const PodAffinity = message("io.k8s.api.core.v1.PodAffinity", () => ({
  requiredDuringSchedulingIgnoredDuringExecution: optional(1, list(PodAffinityTerm), undefined, { list: "atomic" }),
  preferredDuringSchedulingIgnoredDuringExecution: optional(2, list(WeightedPodAffinityTerm), undefined, {
    list: "atomic",
  }),
}));
export type PodAffinity = z.infer<typeof PodAffinity>;

export const PodAntiAffinity = message("io.k8s.api.core.v1.PodAntiAffinity", () => ({
  requiredDuringSchedulingIgnoredDuringExecution: optional(1, list(PodAffinityTerm), undefined, { list: "atomic" }),
  preferredDuringSchedulingIgnoredDuringExecution: optional(2, list(WeightedPodAffinityTerm), undefined, {
    list: "atomic",
  }),
}));
export type PodAntiAffinity = z.infer<typeof PodAntiAffinity>;

export const Affinity = message("io.k8s.api.core.v1.Affinity", () => ({
  nodeAffinity: optional(1, NodeAffinity),
  podAffinity: optional(2, PodAffinity),
  podAntiAffinity: optional(3, PodAntiAffinity),
}));
export type Affinity = z.infer<typeof Affinity>;

export const TopologySpreadConstraint = message("io.k8s.api.core.v1.TopologySpreadConstraint", () => ({
  maxSkew: required(1, int32),
  topologyKey: required(2, string),
  whenUnsatisfiable: required(3, string),
  labelSelector: optional(4, LabelSelector),
  minDomains: optional(5, int32),
  nodeAffinityPolicy: optional(6, string),
  nodeTaintsPolicy: optional(7, string),
  matchLabelKeys: optional(8, list(string), undefined, { list: "atomic" }),
}));
export type TopologySpreadConstraint = z.infer<typeof TopologySpreadConstraint>;
