import type * as z from "zod";
import {
  boolean,
  int32,
  int64,
  LabelSelector,
  list,
  map,
  message,
  optional,
  required,
  string,
} from "../../meta/index.ts";
import { DownwardAPIVolumeFile, KeyToPath } from "./volume-file.ts";

export const SecretProjection = message("io.k8s.api.core.v1.SecretProjection", () => ({
  name: optional(1, string, undefined, {
    proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
  }),
  items: optional(2, list(KeyToPath), undefined, { list: "atomic" }),
  optional: optional(4, boolean),
}));
export type SecretProjection = z.infer<typeof SecretProjection>;

export const ConfigMapProjection = message("io.k8s.api.core.v1.ConfigMapProjection", () => ({
  name: optional(1, string, undefined, {
    proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
  }),
  items: optional(2, list(KeyToPath), undefined, { list: "atomic" }),
  optional: optional(4, boolean),
}));
export type ConfigMapProjection = z.infer<typeof ConfigMapProjection>;

export const DownwardAPIProjection = message("io.k8s.api.core.v1.DownwardAPIProjection", () => ({
  items: optional(1, list(DownwardAPIVolumeFile), undefined, { list: "atomic" }),
}));
export type DownwardAPIProjection = z.infer<typeof DownwardAPIProjection>;

export const ServiceAccountTokenProjection = message("io.k8s.api.core.v1.ServiceAccountTokenProjection", () => ({
  audience: optional(1, string),
  expirationSeconds: optional(2, int64, undefined, { default: 3600 }),
  path: required(3, string),
}));
export type ServiceAccountTokenProjection = z.infer<typeof ServiceAccountTokenProjection>;

export const ClusterTrustBundleProjection = message("io.k8s.api.core.v1.ClusterTrustBundleProjection", () => ({
  name: optional(1, string),
  signerName: optional(2, string),
  labelSelector: optional(3, LabelSelector),
  path: required(4, string),
  optional: optional(5, boolean),
}));
export type ClusterTrustBundleProjection = z.infer<typeof ClusterTrustBundleProjection>;

export const PodCertificateProjection = message("io.k8s.api.core.v1.PodCertificateProjection", () => ({
  signerName: required(1, string),
  keyType: required(2, string),
  maxExpirationSeconds: optional(3, int32),
  credentialBundlePath: optional(4, string),
  keyPath: optional(5, string),
  certificateChainPath: optional(6, string),
  userAnnotations: optional(7, map(string)),
}));
export type PodCertificateProjection = z.infer<typeof PodCertificateProjection>;

export const VolumeProjection = message("io.k8s.api.core.v1.VolumeProjection", () => ({
  secret: optional(1, SecretProjection),
  downwardAPI: optional(2, DownwardAPIProjection),
  configMap: optional(3, ConfigMapProjection),
  serviceAccountToken: optional(4, ServiceAccountTokenProjection),
  clusterTrustBundle: optional(5, ClusterTrustBundleProjection),
  podCertificate: optional(6, PodCertificateProjection),
}));
export type VolumeProjection = z.infer<typeof VolumeProjection>;

export const ProjectedVolumeSource = message("io.k8s.api.core.v1.ProjectedVolumeSource", () => ({
  sources: optional(1, list(VolumeProjection), undefined, { list: "atomic" }),
  defaultMode: optional(2, int32, undefined, { default: 420 }),
}));
export type ProjectedVolumeSource = z.infer<typeof ProjectedVolumeSource>;
