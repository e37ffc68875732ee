import type * as z from "zod";
import { PodTemplateSpec } from "../../core/pod/spec.ts";
import {
  boolean,
  int32,
  int64,
  intOrString,
  LabelSelector,
  list,
  message,
  metadataField,
  optional,
  required,
  string,
  time,
} from "../../meta/index.ts";

export const RollingUpdateDeployment = message("io.k8s.api.apps.v1.RollingUpdateDeployment", () => ({
  maxUnavailable: optional(
    1,
    intOrString,
    "How many pods may be missing during an update, as a number or a percentage.",
  ),
  maxSurge: optional(2, intOrString, "How many pods above the desired number may exist during an update."),
}));
export type RollingUpdateDeployment = z.infer<typeof RollingUpdateDeployment>;

export const DeploymentStrategy = message("io.k8s.api.apps.v1.DeploymentStrategy", () => ({
  type: optional(1, string, "RollingUpdate or Recreate.", { values: ["Recreate", "RollingUpdate"] }),
  rollingUpdate: optional(2, RollingUpdateDeployment, "Settings of a rolling update."),
}));
export type DeploymentStrategy = z.infer<typeof DeploymentStrategy>;

export const DeploymentSpec = message("io.k8s.api.apps.v1.DeploymentSpec", () => ({
  replicas: optional(1, int32, "Desired number of pods.", { default: 1, isPointer: true }),
  selector: required(2, LabelSelector, "Label selector of the deployment's pods. Immutable.", { isPointer: true }),
  template: required(3, PodTemplateSpec, "Template of the pods."),
  strategy: optional(4, DeploymentStrategy, "How old pods are replaced.", { printed: true, retainKeys: true }),
  minReadySeconds: optional(5, int32, "How long a pod must be ready to count as available."),
  revisionHistoryLimit: optional(6, int32, "How many old ReplicaSets are kept for a rollback.", {
    default: 10,
    isPointer: true,
  }),
  paused: optional(7, boolean, "Whether rollouts are paused."),
  progressDeadlineSeconds: optional(9, int32, "Time without progress after which a rollout has failed.", {
    default: 600,
    isPointer: true,
  }),
}));
export type DeploymentSpec = z.infer<typeof DeploymentSpec>;

export const DeploymentCondition = message("io.k8s.api.apps.v1.DeploymentCondition", () => ({
  type: required(1, string, "Available, Progressing or ReplicaFailure."),
  status: required(2, string, "True, False or Unknown."),
  reason: optional(4, string, "Machine-readable reason, in CamelCase."),
  message: optional(5, string, "Human-readable message."),
  lastUpdateTime: optional(6, time, "When the condition was last written.", { printed: true }),
  lastTransitionTime: optional(7, time, "When the status last changed.", { printed: true }),
}));
export type DeploymentCondition = z.infer<typeof DeploymentCondition>;

export const DeploymentStatus = message("io.k8s.api.apps.v1.DeploymentStatus", () => ({
  observedGeneration: optional(1, int64, "The generation that the controller has seen."),
  replicas: optional(2, int32, "Pods that exist."),
  updatedReplicas: optional(3, int32, "Pods of the current template."),
  availableReplicas: optional(4, int32, "Pods that are available."),
  unavailableReplicas: optional(5, int32, "Pods that are still missing."),
  conditions: optional(6, list(DeploymentCondition), "Conditions of the deployment.", {
    list: "map",
    keys: ["type"],
    mergeKey: "type",
  }),
  readyReplicas: optional(7, int32, "Pods that are ready."),
  collisionCount: optional(8, int32, "Counts clashes of the template's hash.", { isPointer: true }),
  terminatingReplicas: optional(9, int32, "Pods that are terminating.", { isPointer: true }),
}));
export type DeploymentStatus = z.infer<typeof DeploymentStatus>;

export const Deployment = message("io.k8s.api.apps.v1.Deployment", () => ({
  metadata: metadataField(),
  spec: optional(2, DeploymentSpec, "Desired state of the deployment.", { printed: true }),
  status: optional(3, DeploymentStatus, "Observed state of the deployment.", { printed: true }),
}));
export type Deployment = z.infer<typeof Deployment>;
