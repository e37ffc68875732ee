import type * as z from "zod";
import {
  boolean,
  int32,
  int64,
  list,
  map,
  message,
  optional,
  quantity,
  required,
  string,
  time,
} from "../../meta/index.ts";
import { ResourceRequirements } from "./resources.ts";

export const ContainerStateWaiting = message("io.k8s.api.core.v1.ContainerStateWaiting", () => ({
  reason: optional(1, string),
  message: optional(2, string),
}));
export type ContainerStateWaiting = z.infer<typeof ContainerStateWaiting>;

export const ContainerStateRunning = message("io.k8s.api.core.v1.ContainerStateRunning", () => ({
  startedAt: optional(1, time),
}));
export type ContainerStateRunning = z.infer<typeof ContainerStateRunning>;

export const ContainerStateTerminated = message("io.k8s.api.core.v1.ContainerStateTerminated", () => ({
  exitCode: required(1, int32),
  signal: optional(2, int32),
  reason: optional(3, string),
  message: optional(4, string),
  startedAt: optional(5, time),
  finishedAt: optional(6, time),
  containerID: optional(7, string),
}));
export type ContainerStateTerminated = z.infer<typeof ContainerStateTerminated>;

export const ContainerState = message("io.k8s.api.core.v1.ContainerState", () => ({
  waiting: optional(1, ContainerStateWaiting),
  running: optional(2, ContainerStateRunning),
  terminated: optional(3, ContainerStateTerminated),
}));
export type ContainerState = z.infer<typeof ContainerState>;

export const ImageVolumeStatus = message("io.k8s.api.core.v1.ImageVolumeStatus", () => ({
  imageRef: required(1, string),
}));
export type ImageVolumeStatus = z.infer<typeof ImageVolumeStatus>;

export const VolumeStatus = message("io.k8s.api.core.v1.VolumeStatus", () => ({
  image: optional(1, ImageVolumeStatus),
}));
export type VolumeStatus = z.infer<typeof VolumeStatus>;

export const VolumeMountStatus = message("io.k8s.api.core.v1.VolumeMountStatus", () => ({
  name: required(1, string),
  mountPath: required(2, string),
  readOnly: optional(3, boolean),
  recursiveReadOnly: optional(4, string),
  volumeStatus: optional(5, VolumeStatus),
}));
export type VolumeMountStatus = z.infer<typeof VolumeMountStatus>;

export const LinuxContainerUser = message("io.k8s.api.core.v1.LinuxContainerUser", () => ({
  uid: required(1, int64),
  gid: required(2, int64),
  supplementalGroups: optional(3, list(int64), undefined, { list: "atomic" }),
}));
export type LinuxContainerUser = z.infer<typeof LinuxContainerUser>;

export const ContainerUser = message("io.k8s.api.core.v1.ContainerUser", () => ({
  linux: optional(1, LinuxContainerUser),
}));
export type ContainerUser = z.infer<typeof ContainerUser>;

export const ResourceHealth = message("io.k8s.api.core.v1.ResourceHealth", () => ({
  resourceID: required(1, string),
  health: optional(2, string),
  message: optional(6, string),
}));
export type ResourceHealth = z.infer<typeof ResourceHealth>;

export const ResourceStatus = message("io.k8s.api.core.v1.ResourceStatus", () => ({
  name: required(1, string),
  resources: optional(2, list(ResourceHealth), undefined, { list: "map", keys: ["resourceID"] }),
}));
export type ResourceStatus = z.infer<typeof ResourceStatus>;

export const ContainerStatus = message("io.k8s.api.core.v1.ContainerStatus", () => ({
  name: required(1, string),
  state: optional(2, ContainerState),
  lastState: optional(3, ContainerState),
  ready: required(4, boolean),
  restartCount: required(5, int32),
  image: required(6, string),
  imageID: required(7, string),
  containerID: optional(8, string),
  started: optional(9, boolean),
  allocatedResources: optional(10, map(quantity)),
  resources: optional(11, ResourceRequirements),
  volumeMounts: optional(12, list(VolumeMountStatus), undefined, {
    list: "map",
    keys: ["mountPath"],
    mergeKey: "mountPath",
  }),
  user: optional(13, ContainerUser),
  allocatedResourcesStatus: optional(14, list(ResourceStatus), undefined, {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
  }),
  stopSignal: optional(15, string),
}));
export type ContainerStatus = z.infer<typeof ContainerStatus>;
