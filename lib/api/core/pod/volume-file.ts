import type * as z from "zod";
import { int32, message, optional, required, string } from "../../meta/index.ts";
import { ObjectFieldSelector, ResourceFieldSelector } from "./env.ts";

export const KeyToPath = message("io.k8s.api.core.v1.KeyToPath", () => ({
  key: required(1, string),
  path: required(2, string),
  mode: optional(3, int32),
}));
export type KeyToPath = z.infer<typeof KeyToPath>;

export const DownwardAPIVolumeFile = message("io.k8s.api.core.v1.DownwardAPIVolumeFile", () => ({
  path: required(1, string),
  fieldRef: optional(2, ObjectFieldSelector),
  resourceFieldRef: optional(3, ResourceFieldSelector),
  mode: optional(4, int32),
}));
export type DownwardAPIVolumeFile = z.infer<typeof DownwardAPIVolumeFile>;
