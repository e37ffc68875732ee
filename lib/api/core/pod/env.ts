import type * as z from "zod";
import { boolean, message, optional, quantity, required, string } from "../../meta/index.ts";

export const ObjectFieldSelector = message(
  "io.k8s.api.core.v1.ObjectFieldSelector",
  () => ({
    apiVersion: optional(1, string, undefined, { default: "v1" }),
    fieldPath: required(2, string),
  }),
  { atomic: true },
);
export type ObjectFieldSelector = z.infer<typeof ObjectFieldSelector>;

export const ResourceFieldSelector = message(
  "io.k8s.api.core.v1.ResourceFieldSelector",
  () => ({
    containerName: optional(1, string),
    resource: required(2, string),
    divisor: optional(3, quantity, undefined, { default: "0" }),
  }),
  { atomic: true },
);
export type ResourceFieldSelector = z.infer<typeof ResourceFieldSelector>;

export const ConfigMapKeySelector = message(
  "io.k8s.api.core.v1.ConfigMapKeySelector",
  () => ({
    name: optional(1, string, undefined, {
      proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
    }),
    key: required(2, string),
    optional: optional(3, boolean),
  }),
  { atomic: true },
);
export type ConfigMapKeySelector = z.infer<typeof ConfigMapKeySelector>;

export const SecretKeySelector = message(
  "io.k8s.api.core.v1.SecretKeySelector",
  () => ({
    name: optional(1, string, undefined, {
      proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
    }),
    key: required(2, string),
    optional: optional(3, boolean),
  }),
  { atomic: true },
);
export type SecretKeySelector = z.infer<typeof SecretKeySelector>;

export const FileKeySelector = message(
  "io.k8s.api.core.v1.FileKeySelector",
  () => ({
    volumeName: required(1, string),
    path: required(2, string),
    key: required(3, string),
    optional: optional(4, boolean, undefined, { default: false }),
  }),
  { atomic: true },
);
export type FileKeySelector = z.infer<typeof FileKeySelector>;

export const EnvVarSource = message("io.k8s.api.core.v1.EnvVarSource", () => ({
  fieldRef: optional(1, ObjectFieldSelector),
  resourceFieldRef: optional(2, ResourceFieldSelector),
  configMapKeyRef: optional(3, ConfigMapKeySelector),
  secretKeyRef: optional(4, SecretKeySelector),
  fileKeyRef: optional(5, FileKeySelector),
}));
export type EnvVarSource = z.infer<typeof EnvVarSource>;

export const EnvVar = message("io.k8s.api.core.v1.EnvVar", () => ({
  name: required(1, string),
  value: optional(2, string),
  valueFrom: optional(3, EnvVarSource),
}));
export type EnvVar = z.infer<typeof EnvVar>;

export const ConfigMapEnvSource = message("io.k8s.api.core.v1.ConfigMapEnvSource", () => ({
  name: optional(1, string, undefined, {
    proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
  }),
  optional: optional(2, boolean),
}));
export type ConfigMapEnvSource = z.infer<typeof ConfigMapEnvSource>;

export const SecretEnvSource = message("io.k8s.api.core.v1.SecretEnvSource", () => ({
  name: optional(1, string, undefined, {
    proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
  }),
  optional: optional(2, boolean),
}));
export type SecretEnvSource = z.infer<typeof SecretEnvSource>;

export const EnvFromSource = message("io.k8s.api.core.v1.EnvFromSource", () => ({
  prefix: optional(1, string),
  configMapRef: optional(2, ConfigMapEnvSource),
  secretRef: optional(3, SecretEnvSource),
}));
export type EnvFromSource = z.infer<typeof EnvFromSource>;
