import type * as z from "zod";
import { int32, int64, message, optional, required, string } from "../../meta/index.ts";
import { ObjectFieldSelector, ResourceFieldSelector } from "./env.ts";

export const KeyToPath = message("io.k8s.api.core.v1.KeyToPath", () => ({
  key: required(1, string, "The key."),
  path: required(2, string, "Path of the file, relative to the volume."),
  mode: optional(3, int32, "Permissions of this file.", { isPointer: true }),
  user: optional(4, int64, "The user that owns the files.", { isPointer: true, gated: true }),
}));
export type KeyToPath = z.infer<typeof KeyToPath>;

export const DownwardAPIVolumeFile = message("io.k8s.api.core.v1.DownwardAPIVolumeFile", () => ({
  path: required(1, string, "Path of the file, relative to the volume."),
  fieldRef: optional(2, ObjectFieldSelector, "A field of the pod."),
  resourceFieldRef: optional(3, ResourceFieldSelector, "A resource of a container."),
  mode: optional(4, int32, "Permissions of this file.", { isPointer: true }),
  user: optional(5, int64, "The user that owns the files.", { isPointer: true, gated: true }),
}));
export type DownwardAPIVolumeFile = z.infer<typeof DownwardAPIVolumeFile>;
