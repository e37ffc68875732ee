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
  name: optional(1, string, "Name of the Secret.", {
    proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
  }),
  items: optional(2, list(KeyToPath), "The keys that become files; all when absent.", { list: "atomic" }),
  optional: optional(4, boolean, "Whether it is optional.", { isPointer: true }),
}));
export type SecretProjection = z.infer<typeof SecretProjection>;

export const ConfigMapProjection = message("io.k8s.api.core.v1.ConfigMapProjection", () => ({
  name: optional(1, string, "Name of the ConfigMap.", {
    proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
  }),
  items: optional(2, list(KeyToPath), "The keys that become files; all when absent.", { list: "atomic" }),
  optional: optional(4, boolean, "Whether it is optional.", { isPointer: true }),
}));
export type ConfigMapProjection = z.infer<typeof ConfigMapProjection>;

export const DownwardAPIProjection = message("io.k8s.api.core.v1.DownwardAPIProjection", () => ({
  items: optional(1, list(DownwardAPIVolumeFile), "The files.", { list: "atomic" }),
}));
export type DownwardAPIProjection = z.infer<typeof DownwardAPIProjection>;

export const ServiceAccountTokenProjection = message("io.k8s.api.core.v1.ServiceAccountTokenProjection", () => ({
  audience: optional(1, string, "Audience of the token. Defaults to the API server."),
  expirationSeconds: optional(2, int64, "Lifetime of the token, which is renewed before it expires.", {
    default: 3600,
    isPointer: true,
  }),
  path: required(3, string, "Path of the file, relative to the volume."),
  user: optional(4, int64, "The user that owns the files.", { isPointer: true, gated: true }),
}));
export type ServiceAccountTokenProjection = z.infer<typeof ServiceAccountTokenProjection>;

export const ClusterTrustBundleProjection = message("io.k8s.api.core.v1.ClusterTrustBundleProjection", () => ({
  name: optional(1, string, "Name of the bundle.", { isPointer: true }),
  signerName: optional(2, string, "All bundles of this signer.", { isPointer: true }),
  labelSelector: optional(3, LabelSelector, "Label selector of the signer's bundles."),
  path: required(4, string, "Path of the file, relative to the volume."),
  optional: optional(5, boolean, "Whether it is optional.", { isPointer: true }),
  user: optional(6, int64, "The user that owns the files.", { isPointer: true, gated: true }),
}));
export type ClusterTrustBundleProjection = z.infer<typeof ClusterTrustBundleProjection>;

export const PodCertificateProjection = message("io.k8s.api.core.v1.PodCertificateProjection", () => ({
  signerName: required(1, string, "The signer of the certificate."),
  keyType: required(2, string, "Type of the key."),
  maxExpirationSeconds: optional(3, int32, "Maximum lifetime of the certificate.", { isPointer: true }),
  credentialBundlePath: optional(4, string, "Path of a file with key and certificates."),
  keyPath: optional(5, string, "Path of a file with the key."),
  certificateChainPath: optional(6, string, "Path of a file with the certificates."),
  userAnnotations: optional(7, map(string), "Notes for the signer."),
  user: optional(8, int64, "The user that owns the files.", { isPointer: true, gated: true }),
}));
export type PodCertificateProjection = z.infer<typeof PodCertificateProjection>;

export const VolumeProjection = message("io.k8s.api.core.v1.VolumeProjection", () => ({
  secret: optional(1, SecretProjection, "Files with the keys of a Secret."),
  downwardAPI: optional(2, DownwardAPIProjection, "Files with fields of the pod."),
  configMap: optional(3, ConfigMapProjection, "Files with the keys of a ConfigMap."),
  serviceAccountToken: optional(4, ServiceAccountTokenProjection, "A token of the pod's service account."),
  clusterTrustBundle: optional(5, ClusterTrustBundleProjection, "Certificates of signers."),
  podCertificate: optional(6, PodCertificateProjection, "A certificate of the pod."),
}));
export type VolumeProjection = z.infer<typeof VolumeProjection>;

export const ProjectedVolumeSource = message("io.k8s.api.core.v1.ProjectedVolumeSource", () => ({
  sources: optional(1, list(VolumeProjection), "Sources of the directory.", { printed: true, list: "atomic" }),
  defaultMode: optional(2, int32, "Permissions of files without their own. Defaults to 0644.", {
    default: 420,
    isPointer: true,
  }),
  defaultUser: optional(3, int64, "The user that owns the files.", { isPointer: true, gated: true }),
}));
export type ProjectedVolumeSource = z.infer<typeof ProjectedVolumeSource>;
