import type * as z from "zod";
import { boolean, message, optional, quantity, required, string } from "../../meta/index.ts";

export const ObjectFieldSelector = message(
  "io.k8s.api.core.v1.ObjectFieldSelector",
  () => ({
    apiVersion: optional(1, string, "API version of fieldPath.", { default: "v1" }),
    fieldPath: required(2, string, "The field of the pod, such as `status.podIP` or `metadata.labels['app']`."),
  }),
  { atomic: true },
);
export type ObjectFieldSelector = z.infer<typeof ObjectFieldSelector>;

export const ResourceFieldSelector = message(
  "io.k8s.api.core.v1.ResourceFieldSelector",
  () => ({
    containerName: optional(1, string, "The container; required in volumes."),
    resource: required(2, string, "What is shown, such as `limits.cpu`."),
    divisor: optional(3, quantity, "The unit that it is shown in, rounded up.", { default: "0" }),
  }),
  { atomic: true },
);
export type ResourceFieldSelector = z.infer<typeof ResourceFieldSelector>;

export const ConfigMapKeySelector = message(
  "io.k8s.api.core.v1.ConfigMapKeySelector",
  () => ({
    name: optional(1, string, "Name of the ConfigMap.", {
      proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
    }),
    key: required(2, string, "The key to select."),
    optional: optional(3, boolean, "Whether it is optional.", { isPointer: true }),
  }),
  { atomic: true },
);
export type ConfigMapKeySelector = z.infer<typeof ConfigMapKeySelector>;

export const SecretKeySelector = message(
  "io.k8s.api.core.v1.SecretKeySelector",
  () => ({
    name: optional(1, string, "Name of the Secret.", {
      proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
    }),
    key: required(2, string, "The key to select."),
    optional: optional(3, boolean, "Whether it is optional.", { isPointer: true }),
  }),
  { atomic: true },
);
export type SecretKeySelector = z.infer<typeof SecretKeySelector>;

export const FileKeySelector = message(
  "io.k8s.api.core.v1.FileKeySelector",
  () => ({
    volumeName: required(1, string, "The emptyDir volume that holds the file."),
    path: required(2, string, "Path of the file inside the volume."),
    key: required(3, string, "The variable's name in the file."),
    optional: optional(4, boolean, "Whether it is optional.", { default: false, isPointer: true }),
  }),
  { atomic: true },
);
export type FileKeySelector = z.infer<typeof FileKeySelector>;

export const EnvVarSource = message("io.k8s.api.core.v1.EnvVarSource", () => ({
  fieldRef: optional(1, ObjectFieldSelector, "A field of the pod."),
  resourceFieldRef: optional(2, ResourceFieldSelector, "A resource of the container."),
  configMapKeyRef: optional(3, ConfigMapKeySelector, "A key of a ConfigMap."),
  secretKeyRef: optional(4, SecretKeySelector, "A key of a Secret."),
  fileKeyRef: optional(5, FileKeySelector, "A variable in a file of a volume."),
}));
export type EnvVarSource = z.infer<typeof EnvVarSource>;

export const EnvVar = message("io.k8s.api.core.v1.EnvVar", () => ({
  name: required(1, string, "Name of the variable."),
  value: optional(2, string, "Its value; `$(NAME)` is replaced by an earlier variable."),
  valueFrom: optional(3, EnvVarSource, "Source of the value, if `value` is empty."),
}));
export type EnvVar = z.infer<typeof EnvVar>;

export const ConfigMapEnvSource = message("io.k8s.api.core.v1.ConfigMapEnvSource", () => ({
  name: optional(1, string, "Name of the ConfigMap.", {
    proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
  }),
  optional: optional(2, boolean, "Whether it is optional.", { isPointer: true }),
}));
export type ConfigMapEnvSource = z.infer<typeof ConfigMapEnvSource>;

export const SecretEnvSource = message("io.k8s.api.core.v1.SecretEnvSource", () => ({
  name: optional(1, string, "Name of the Secret.", {
    proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
  }),
  optional: optional(2, boolean, "Whether it is optional.", { isPointer: true }),
}));
export type SecretEnvSource = z.infer<typeof SecretEnvSource>;

export const EnvFromSource = message("io.k8s.api.core.v1.EnvFromSource", () => ({
  prefix: optional(1, string, "Put before each name."),
  configMapRef: optional(2, ConfigMapEnvSource, "The ConfigMap whose keys become variables."),
  secretRef: optional(3, SecretEnvSource, "The Secret whose keys become variables."),
}));
export type EnvFromSource = z.infer<typeof EnvFromSource>;
