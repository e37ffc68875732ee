import type * as z from "zod";
import {
  boolean,
  int32,
  LabelSelector,
  list,
  map,
  message,
  ObjectMeta,
  optional,
  quantity,
  required,
  string,
} from "../../meta/index.ts";
import { LocalObjectReference, TypedLocalObjectReference, TypedObjectReference } from "../reference.ts";
import {
  AWSElasticBlockStoreVolumeSource,
  AzureDiskVolumeSource,
  AzureFileVolumeSource,
  CephFSVolumeSource,
  CinderVolumeSource,
  FCVolumeSource,
  FlexVolumeSource,
  FlockerVolumeSource,
  GCEPersistentDiskVolumeSource,
  GitRepoVolumeSource,
  GlusterfsVolumeSource,
  ISCSIVolumeSource,
  PhotonPersistentDiskVolumeSource,
  PortworxVolumeSource,
  QuobyteVolumeSource,
  RBDVolumeSource,
  ScaleIOVolumeSource,
  StorageOSVolumeSource,
  VsphereVirtualDiskVolumeSource,
} from "./driver-volume.ts";
import { ProjectedVolumeSource } from "./projected-volume.ts";
import { DownwardAPIVolumeFile, KeyToPath } from "./volume-file.ts";

export const HostPathVolumeSource = message("io.k8s.api.core.v1.HostPathVolumeSource", () => ({
  path: required(1, string),
  type: optional(2, string, undefined, { default: "" }),
}));
export type HostPathVolumeSource = z.infer<typeof HostPathVolumeSource>;

export const EmptyDirVolumeSource = message("io.k8s.api.core.v1.EmptyDirVolumeSource", () => ({
  medium: optional(1, string),
  sizeLimit: optional(2, quantity),
}));
export type EmptyDirVolumeSource = z.infer<typeof EmptyDirVolumeSource>;

export const SecretVolumeSource = message("io.k8s.api.core.v1.SecretVolumeSource", () => ({
  secretName: optional(1, string),
  items: optional(2, list(KeyToPath), undefined, { list: "atomic" }),
  defaultMode: optional(3, int32, undefined, { default: 420 }),
  optional: optional(4, boolean),
}));
export type SecretVolumeSource = z.infer<typeof SecretVolumeSource>;

export const ConfigMapVolumeSource = message("io.k8s.api.core.v1.ConfigMapVolumeSource", () => ({
  name: optional(1, string, undefined, {
    proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
  }),
  items: optional(2, list(KeyToPath), undefined, { list: "atomic" }),
  defaultMode: optional(3, int32, undefined, { default: 420 }),
  optional: optional(4, boolean),
}));
export type ConfigMapVolumeSource = z.infer<typeof ConfigMapVolumeSource>;

export const DownwardAPIVolumeSource = message("io.k8s.api.core.v1.DownwardAPIVolumeSource", () => ({
  items: optional(1, list(DownwardAPIVolumeFile), undefined, { list: "atomic" }),
  defaultMode: optional(2, int32, undefined, { default: 420 }),
}));
export type DownwardAPIVolumeSource = z.infer<typeof DownwardAPIVolumeSource>;

export const NFSVolumeSource = message("io.k8s.api.core.v1.NFSVolumeSource", () => ({
  server: required(1, string),
  path: required(2, string),
  readOnly: optional(3, boolean),
}));
export type NFSVolumeSource = z.infer<typeof NFSVolumeSource>;

export const PersistentVolumeClaimVolumeSource = message(
  "io.k8s.api.core.v1.PersistentVolumeClaimVolumeSource",
  () => ({
    claimName: required(1, string),
    readOnly: optional(2, boolean),
  }),
);
export type PersistentVolumeClaimVolumeSource = z.infer<typeof PersistentVolumeClaimVolumeSource>;

export const CSIVolumeSource = message("io.k8s.api.core.v1.CSIVolumeSource", () => ({
  driver: required(1, string),
  readOnly: optional(2, boolean),
  fsType: optional(3, string),
  volumeAttributes: optional(4, map(string)),
  nodePublishSecretRef: optional(5, LocalObjectReference),
}));
export type CSIVolumeSource = z.infer<typeof CSIVolumeSource>;

export const ImageVolumeSource = message("io.k8s.api.core.v1.ImageVolumeSource", () => ({
  reference: optional(1, string),
  pullPolicy: optional(2, string),
}));
export type ImageVolumeSource = z.infer<typeof ImageVolumeSource>;

export const VolumeResourceRequirements = message("io.k8s.api.core.v1.VolumeResourceRequirements", () => ({
  limits: optional(1, map(quantity)),
  requests: optional(2, map(quantity)),
}));
export type VolumeResourceRequirements = z.infer<typeof VolumeResourceRequirements>;

export const PersistentVolumeClaimSpec = message("io.k8s.api.core.v1.PersistentVolumeClaimSpec", () => ({
  accessModes: optional(1, list(string), undefined, { list: "atomic" }),
  resources: optional(2, VolumeResourceRequirements),
  volumeName: optional(3, string),
  selector: optional(4, LabelSelector),
  storageClassName: optional(5, string),
  volumeMode: optional(6, string, undefined, { default: "Filesystem" }),
  dataSource: optional(7, TypedLocalObjectReference),
  dataSourceRef: optional(8, TypedObjectReference),
  volumeAttributesClassName: optional(9, string),
}));
export type PersistentVolumeClaimSpec = z.infer<typeof PersistentVolumeClaimSpec>;

export const PersistentVolumeClaimTemplate = message("io.k8s.api.core.v1.PersistentVolumeClaimTemplate", () => ({
  metadata: optional(1, ObjectMeta),
  spec: required(2, PersistentVolumeClaimSpec),
}));
export type PersistentVolumeClaimTemplate = z.infer<typeof PersistentVolumeClaimTemplate>;

export const EphemeralVolumeSource = message("io.k8s.api.core.v1.EphemeralVolumeSource", () => ({
  volumeClaimTemplate: optional(1, PersistentVolumeClaimTemplate),
}));
export type EphemeralVolumeSource = z.infer<typeof EphemeralVolumeSource>;

const volumePlace = { field: "volumeSource", n: 2, message: "io.k8s.api.core.v1.VolumeSource" };

export const Volume = message("io.k8s.api.core.v1.Volume", () => ({
  name: required(1, string),
  hostPath: optional(1, HostPathVolumeSource, undefined, { proto: volumePlace }),
  emptyDir: optional(2, EmptyDirVolumeSource, undefined, { proto: volumePlace }),
  gcePersistentDisk: optional(3, GCEPersistentDiskVolumeSource, undefined, { proto: volumePlace }),
  awsElasticBlockStore: optional(4, AWSElasticBlockStoreVolumeSource, undefined, { proto: volumePlace }),
  gitRepo: optional(5, GitRepoVolumeSource, undefined, { proto: volumePlace }),
  secret: optional(6, SecretVolumeSource, undefined, { proto: volumePlace }),
  nfs: optional(7, NFSVolumeSource, undefined, { proto: volumePlace }),
  iscsi: optional(8, ISCSIVolumeSource, undefined, { proto: volumePlace }),
  glusterfs: optional(9, GlusterfsVolumeSource, undefined, { proto: volumePlace }),
  persistentVolumeClaim: optional(10, PersistentVolumeClaimVolumeSource, undefined, { proto: volumePlace }),
  rbd: optional(11, RBDVolumeSource, undefined, { proto: volumePlace }),
  flexVolume: optional(12, FlexVolumeSource, undefined, { proto: volumePlace }),
  cinder: optional(13, CinderVolumeSource, undefined, { proto: volumePlace }),
  cephfs: optional(14, CephFSVolumeSource, undefined, { proto: volumePlace }),
  flocker: optional(15, FlockerVolumeSource, undefined, { proto: volumePlace }),
  downwardAPI: optional(16, DownwardAPIVolumeSource, undefined, { proto: volumePlace }),
  fc: optional(17, FCVolumeSource, undefined, { proto: volumePlace }),
  azureFile: optional(18, AzureFileVolumeSource, undefined, { proto: volumePlace }),
  configMap: optional(19, ConfigMapVolumeSource, undefined, { proto: volumePlace }),
  vsphereVolume: optional(20, VsphereVirtualDiskVolumeSource, undefined, { proto: volumePlace }),
  quobyte: optional(21, QuobyteVolumeSource, undefined, { proto: volumePlace }),
  azureDisk: optional(22, AzureDiskVolumeSource, undefined, { proto: volumePlace }),
  photonPersistentDisk: optional(23, PhotonPersistentDiskVolumeSource, undefined, { proto: volumePlace }),
  portworxVolume: optional(24, PortworxVolumeSource, undefined, { proto: volumePlace }),
  scaleIO: optional(25, ScaleIOVolumeSource, undefined, { proto: volumePlace }),
  projected: optional(26, ProjectedVolumeSource, undefined, { proto: volumePlace }),
  storageos: optional(27, StorageOSVolumeSource, undefined, { proto: volumePlace }),
  csi: optional(28, CSIVolumeSource, undefined, { proto: volumePlace }),
  ephemeral: optional(29, EphemeralVolumeSource, undefined, { proto: volumePlace }),
  image: optional(30, ImageVolumeSource, undefined, { proto: volumePlace }),
}));
export type Volume = z.infer<typeof Volume>;
