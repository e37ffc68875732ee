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
import { signals } from "./signals.ts";

export const ContainerStateWaiting = message("io.k8s.api.core.v1.ContainerStateWaiting", () => ({
  reason: optional(1, string, "Machine-readable reason, in CamelCase."),
  message: optional(2, string, "Human-readable message."),
}));
export type ContainerStateWaiting = z.infer<typeof ContainerStateWaiting>;

export const ContainerStateRunning = message("io.k8s.api.core.v1.ContainerStateRunning", () => ({
  startedAt: optional(1, time, "When the container was started.", { printed: true }),
}));
export type ContainerStateRunning = z.infer<typeof ContainerStateRunning>;

export const ContainerStateTerminated = message("io.k8s.api.core.v1.ContainerStateTerminated", () => ({
  exitCode: required(1, int32, "Exit code of the program."),
  signal: optional(2, int32, "The signal that ended it."),
  reason: optional(3, string, "Machine-readable reason, in CamelCase."),
  message: optional(4, string, "Human-readable message."),
  startedAt: optional(5, time, "When it was started.", { printed: true }),
  finishedAt: optional(6, time, "When it ended.", { printed: true }),
  containerID: optional(7, string, "The runtime's id of the container."),
}));
export type ContainerStateTerminated = z.infer<typeof ContainerStateTerminated>;

export const ContainerState = message("io.k8s.api.core.v1.ContainerState", () => ({
  waiting: optional(1, ContainerStateWaiting, "It is not running yet."),
  running: optional(2, ContainerStateRunning, "It is running."),
  terminated: optional(3, ContainerStateTerminated, "It has ended."),
}));
export type ContainerState = z.infer<typeof ContainerState>;

export const ImageVolumeStatus = message("io.k8s.api.core.v1.ImageVolumeStatus", () => ({
  imageRef: required(1, string, "The image, with its digest."),
}));
export type ImageVolumeStatus = z.infer<typeof ImageVolumeStatus>;

export const VolumeStatus = message("io.k8s.api.core.v1.VolumeStatus", () => ({
  image: optional(1, ImageVolumeStatus, "State of an image volume."),
}));
export type VolumeStatus = z.infer<typeof VolumeStatus>;

export const VolumeMountStatus = message("io.k8s.api.core.v1.VolumeMountStatus", () => ({
  name: required(1, string, "The volume."),
  mountPath: required(2, string, "Where it is mounted."),
  readOnly: optional(3, boolean, "Whether it is read-only."),
  recursiveReadOnly: optional(4, string, "Whether mounts below are read-only too.", { isPointer: true }),
  volumeStatus: optional(5, VolumeStatus, "State of the volume."),
}));
export type VolumeMountStatus = z.infer<typeof VolumeMountStatus>;

export const LinuxContainerUser = message("io.k8s.api.core.v1.LinuxContainerUser", () => ({
  uid: required(1, int64, "User id of the first process."),
  gid: required(2, int64, "Group id of the first process."),
  supplementalGroups: optional(3, list(int64), "Further groups of the first process.", { list: "atomic" }),
}));
export type LinuxContainerUser = z.infer<typeof LinuxContainerUser>;

export const ContainerUser = message("io.k8s.api.core.v1.ContainerUser", () => ({
  linux: optional(1, LinuxContainerUser, "Users and groups on Linux."),
}));
export type ContainerUser = z.infer<typeof ContainerUser>;

export const ResourceHealth = message("io.k8s.api.core.v1.ResourceHealth", () => ({
  resourceID: required(1, string, "Id of the device."),
  health: optional(2, string, "Healthy, Unhealthy or Unknown."),
  message: optional(6, string, "Human-readable message.", { isPointer: true }),
}));
export type ResourceHealth = z.infer<typeof ResourceHealth>;

export const ResourceStatus = message("io.k8s.api.core.v1.ResourceStatus", () => ({
  name: required(1, string, "Name of the resource."),
  resources: optional(2, list(ResourceHealth), "State of each device.", { list: "map", keys: ["resourceID"] }),
}));
export type ResourceStatus = z.infer<typeof ResourceStatus>;

export const ContainerStatus = message("io.k8s.api.core.v1.ContainerStatus", () => ({
  name: required(1, string, "Name of the container."),
  state: optional(2, ContainerState, "Current state of the container.", { printed: true }),
  lastState: optional(3, ContainerState, "State of its previous run.", { printed: true }),
  ready: required(4, boolean, "Whether it is ready."),
  restartCount: required(5, int32, "Number of restarts."),
  image: required(6, string, "The image that it runs."),
  imageID: required(7, string, "The image's id."),
  containerID: optional(8, string, "The runtime's id: `<type>://<id>`."),
  started: optional(9, boolean, "Whether its startup probe has succeeded.", { isPointer: true }),
  allocatedResources: optional(10, map(quantity), "Resources that the node has allocated to it."),
  resources: optional(11, ResourceRequirements, "Resources that are in effect."),
  volumeMounts: optional(12, list(VolumeMountStatus), "State of its mounts.", {
    list: "map",
    keys: ["mountPath"],
    mergeKey: "mountPath",
  }),
  user: optional(13, ContainerUser, "The user of its first process."),
  allocatedResourcesStatus: optional(14, list(ResourceStatus), "State of its devices.", {
    list: "map",
    keys: ["name"],
    mergeKey: "name",
  }),
  stopSignal: optional(15, string, "The stop signal.", { isPointer: true, values: signals }),
}));
export type ContainerStatus = z.infer<typeof ContainerStatus>;
