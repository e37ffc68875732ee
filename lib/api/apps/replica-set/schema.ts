import type * as z from "zod";
import { PodTemplateSpec } from "../../core/pod/spec.ts";
import {
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

export const ReplicaSetSpec = message("io.k8s.api.apps.v1.ReplicaSetSpec", () => ({
  replicas: optional(1, int32, "Desired number of pods.", { default: 1, isPointer: true }),
  selector: required(2, LabelSelector, "Label selector of the ReplicaSet's pods. Immutable.", { isPointer: true }),
  template: optional(3, PodTemplateSpec, "Template of the pods.", { printed: true }),
  minReadySeconds: optional(4, int32, "How long a pod must be ready to count as available."),
}));
export type ReplicaSetSpec = z.infer<typeof ReplicaSetSpec>;

export const ReplicaSetCondition = message("io.k8s.api.apps.v1.ReplicaSetCondition", () => ({
  type: required(1, string, "What the condition is about: ReplicaFailure."),
  status: required(2, string, "True, False or Unknown."),
  lastTransitionTime: optional(3, time, "When the status last changed.", { printed: true }),
  reason: optional(4, string, "Machine-readable reason, in CamelCase."),
  message: optional(5, string, "Human-readable message."),
}));
export type ReplicaSetCondition = z.infer<typeof ReplicaSetCondition>;

export const ReplicaSetStatus = message("io.k8s.api.apps.v1.ReplicaSetStatus", () => ({
  replicas: required(1, int32, "Pods that exist."),
  fullyLabeledReplicas: optional(2, int32, "Pods that have all labels of the template."),
  observedGeneration: optional(3, int64, "The generation that the controller has seen."),
  readyReplicas: optional(4, int32, "Pods that are ready."),
  availableReplicas: optional(5, int32, "Pods that are available."),
  conditions: optional(6, list(ReplicaSetCondition), "Conditions of the ReplicaSet.", {
    list: "map",
    keys: ["type"],
    mergeKey: "type",
  }),
  terminatingReplicas: optional(7, int32, "Pods that are terminating.", { isPointer: true }),
}));
export type ReplicaSetStatus = z.infer<typeof ReplicaSetStatus>;

export const ReplicaSet = message("io.k8s.api.apps.v1.ReplicaSet", () => ({
  metadata: metadataField(),
  spec: optional(2, ReplicaSetSpec, "Desired state of the ReplicaSet.", { printed: true }),
  status: optional(3, ReplicaSetStatus, "Observed state of the ReplicaSet.", { printed: true }),
}));
export type ReplicaSet = z.infer<typeof ReplicaSet>;
