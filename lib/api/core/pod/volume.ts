import type * as z from "zod";
import {
  boolean,
  int32,
  int64,
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
  path: required(1, string, "Path on the node."),
  type: optional(2, string, "The type that must exist: Directory, File, Socket and so on; empty checks nothing.", {
    default: "",
    isPointer: true,
    values: ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"],
  }),
}));
export type HostPathVolumeSource = z.infer<typeof HostPathVolumeSource>;

export const EmptyDirVolumeSource = message("io.k8s.api.core.v1.EmptyDirVolumeSource", () => ({
  medium: optional(1, string, "Medium: empty for the disk, Memory, or HugePages."),
  sizeLimit: optional(2, quantity, "Maximum size."),
  mode: optional(3, int32, "Permissions of the directory.", { isPointer: true, gated: true }),
}));
export type EmptyDirVolumeSource = z.infer<typeof EmptyDirVolumeSource>;

export const SecretVolumeSource = message("io.k8s.api.core.v1.SecretVolumeSource", () => ({
  secretName: optional(1, string, "Name of the Secret."),
  items: optional(2, list(KeyToPath), "The keys that become files; all when absent.", { list: "atomic" }),
  defaultMode: optional(3, int32, "Permissions of files without their own. Defaults to 0644.", {
    default: 420,
    isPointer: true,
  }),
  optional: optional(4, boolean, "Whether it is optional.", { isPointer: true }),
  defaultUser: optional(5, int64, "The user that owns the files.", { isPointer: true, gated: true }),
}));
export type SecretVolumeSource = z.infer<typeof SecretVolumeSource>;

export const ConfigMapVolumeSource = message("io.k8s.api.core.v1.ConfigMapVolumeSource", () => ({
  name: optional(1, string, "Name of the ConfigMap.", {
    proto: { field: "localObjectReference", n: 1, message: "io.k8s.api.core.v1.LocalObjectReference" },
  }),
  items: optional(2, list(KeyToPath), "The keys that become files; all when absent.", { list: "atomic" }),
  defaultMode: optional(3, int32, "Permissions of files without their own. Defaults to 0644.", {
    default: 420,
    isPointer: true,
  }),
  optional: optional(4, boolean, "Whether it is optional.", { isPointer: true }),
  defaultUser: optional(5, int64, "The user that owns the files.", { isPointer: true, gated: true }),
}));
export type ConfigMapVolumeSource = z.infer<typeof ConfigMapVolumeSource>;

export const DownwardAPIVolumeSource = message("io.k8s.api.core.v1.DownwardAPIVolumeSource", () => ({
  items: optional(1, list(DownwardAPIVolumeFile), "The files.", { list: "atomic" }),
  defaultMode: optional(2, int32, "Permissions of files without their own. Defaults to 0644.", {
    default: 420,
    isPointer: true,
  }),
  defaultUser: optional(3, int64, "The user that owns the files.", { isPointer: true, gated: true }),
}));
export type DownwardAPIVolumeSource = z.infer<typeof DownwardAPIVolumeSource>;

export const NFSVolumeSource = message("io.k8s.api.core.v1.NFSVolumeSource", () => ({
  server: required(1, string, "Name or address of the server."),
  path: required(2, string, "The path that the server exports."),
  readOnly: optional(3, boolean, "Whether it is read-only."),
}));
export type NFSVolumeSource = z.infer<typeof NFSVolumeSource>;

export const PersistentVolumeClaimVolumeSource = message(
  "io.k8s.api.core.v1.PersistentVolumeClaimVolumeSource",
  () => ({
    claimName: required(1, string, "Name of the claim."),
    readOnly: optional(2, boolean, "Whether it is read-only."),
  }),
);
export type PersistentVolumeClaimVolumeSource = z.infer<typeof PersistentVolumeClaimVolumeSource>;

export const CSIVolumeSource = message("io.k8s.api.core.v1.CSIVolumeSource", () => ({
  driver: required(1, string, "Name of the driver."),
  readOnly: optional(2, boolean, "Whether it is read-only.", { isPointer: true }),
  fsType: optional(3, string, "Type of the file system, such as ext4.", { isPointer: true }),
  volumeAttributes: optional(4, map(string), "Settings for the driver."),
  nodePublishSecretRef: optional(5, LocalObjectReference, "A secret for the driver."),
}));
export type CSIVolumeSource = z.infer<typeof CSIVolumeSource>;

export const ImageVolumeSource = message("io.k8s.api.core.v1.ImageVolumeSource", () => ({
  reference: optional(1, string, "The image whose files are shown."),
  pullPolicy: optional(2, string, "Always, IfNotPresent or Never.", { values: ["Always", "IfNotPresent", "Never"] }),
}));
export type ImageVolumeSource = z.infer<typeof ImageVolumeSource>;

export const VolumeResourceRequirements = message("io.k8s.api.core.v1.VolumeResourceRequirements", () => ({
  limits: optional(1, map(quantity), "The maximum."),
  requests: optional(2, map(quantity), "The minimum that is required."),
}));
export type VolumeResourceRequirements = z.infer<typeof VolumeResourceRequirements>;

export const PersistentVolumeClaimSpec = message("io.k8s.api.core.v1.PersistentVolumeClaimSpec", () => ({
  accessModes: optional(
    1,
    list(string),
    "How it is used: ReadWriteOnce, ReadOnlyMany, ReadWriteMany or ReadWriteOncePod.",
    { list: "atomic", values: ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"] },
  ),
  resources: optional(2, VolumeResourceRequirements, "How large it must be.", { printed: true }),
  volumeName: optional(3, string, "The volume that it is bound to."),
  selector: optional(4, LabelSelector, "Volumes that may match."),
  storageClassName: optional(5, string, "The storage class; empty for none, absent for the default one.", {
    isPointer: true,
  }),
  volumeMode: optional(6, string, "Filesystem or Block.", {
    default: "Filesystem",
    isPointer: true,
    values: ["Block", "Filesystem"],
  }),
  dataSource: optional(7, TypedLocalObjectReference, "Source of the volume's data."),
  dataSourceRef: optional(8, TypedObjectReference, "Source of the volume's data, an object of any kind."),
  volumeAttributesClassName: optional(9, string, "The class of attributes that can be changed later.", {
    isPointer: true,
  }),
}));
export type PersistentVolumeClaimSpec = z.infer<typeof PersistentVolumeClaimSpec>;

export const PersistentVolumeClaimTemplate = message("io.k8s.api.core.v1.PersistentVolumeClaimTemplate", () => ({
  metadata: optional(1, ObjectMeta, "Labels and annotations of the claim.", { printed: true }),
  spec: required(2, PersistentVolumeClaimSpec, "Desired state of the claim."),
}));
export type PersistentVolumeClaimTemplate = z.infer<typeof PersistentVolumeClaimTemplate>;

export const EphemeralVolumeSource = message("io.k8s.api.core.v1.EphemeralVolumeSource", () => ({
  volumeClaimTemplate: optional(1, PersistentVolumeClaimTemplate, "Template of the claim."),
}));
export type EphemeralVolumeSource = z.infer<typeof EphemeralVolumeSource>;

const volumePlace = { field: "volumeSource", n: 2, message: "io.k8s.api.core.v1.VolumeSource" };

export const Volume = message("io.k8s.api.core.v1.Volume", () => ({
  name: required(1, string, "Name of the volume, unique in the pod."),
  hostPath: optional(1, HostPathVolumeSource, "A file or folder of the node.", { proto: volumePlace }),
  emptyDir: optional(2, EmptyDirVolumeSource, "A directory with the lifetime of the pod.", { proto: volumePlace }),
  gcePersistentDisk: optional(3, GCEPersistentDiskVolumeSource, "A disk of Google Compute Engine.", {
    proto: volumePlace,
  }),
  awsElasticBlockStore: optional(4, AWSElasticBlockStoreVolumeSource, "A volume of Elastic Block Store.", {
    proto: volumePlace,
  }),
  gitRepo: optional(5, GitRepoVolumeSource, "Files of a Git repository.", { proto: volumePlace }),
  secret: optional(6, SecretVolumeSource, "Files with the keys of a Secret.", { proto: volumePlace }),
  nfs: optional(7, NFSVolumeSource, "A folder of an NFS server.", { proto: volumePlace }),
  iscsi: optional(8, ISCSIVolumeSource, "A disk of an iSCSI target.", { proto: volumePlace }),
  glusterfs: optional(9, GlusterfsVolumeSource, "A Gluster volume.", { proto: volumePlace }),
  persistentVolumeClaim: optional(10, PersistentVolumeClaimVolumeSource, "A claim in the same namespace.", {
    proto: volumePlace,
  }),
  rbd: optional(11, RBDVolumeSource, "A block device of Ceph.", { proto: volumePlace }),
  flexVolume: optional(12, FlexVolumeSource, "A volume of an exec driver.", { proto: volumePlace }),
  cinder: optional(13, CinderVolumeSource, "A volume of OpenStack Cinder.", { proto: volumePlace }),
  cephfs: optional(14, CephFSVolumeSource, "A file system of Ceph.", { proto: volumePlace }),
  flocker: optional(15, FlockerVolumeSource, "A Flocker dataset.", { proto: volumePlace }),
  downwardAPI: optional(16, DownwardAPIVolumeSource, "Files with fields of the pod.", { proto: volumePlace }),
  fc: optional(17, FCVolumeSource, "A disk behind Fibre Channel.", { proto: volumePlace }),
  azureFile: optional(18, AzureFileVolumeSource, "An Azure file share.", { proto: volumePlace }),
  configMap: optional(19, ConfigMapVolumeSource, "Files with the keys of a ConfigMap.", { proto: volumePlace }),
  vsphereVolume: optional(20, VsphereVirtualDiskVolumeSource, "A vSphere disk.", { proto: volumePlace }),
  quobyte: optional(21, QuobyteVolumeSource, "A Quobyte volume.", { proto: volumePlace }),
  azureDisk: optional(22, AzureDiskVolumeSource, "An Azure disk.", { proto: volumePlace }),
  photonPersistentDisk: optional(23, PhotonPersistentDiskVolumeSource, "A Photon disk.", { proto: volumePlace }),
  portworxVolume: optional(24, PortworxVolumeSource, "A Portworx volume.", { proto: volumePlace }),
  scaleIO: optional(25, ScaleIOVolumeSource, "A ScaleIO volume.", { proto: volumePlace }),
  projected: optional(26, ProjectedVolumeSource, "Files from several sources in one folder.", { proto: volumePlace }),
  storageos: optional(27, StorageOSVolumeSource, "A StorageOS volume.", { proto: volumePlace }),
  csi: optional(28, CSIVolumeSource, "A volume of a CSI driver with the lifetime of the pod.", { proto: volumePlace }),
  ephemeral: optional(29, EphemeralVolumeSource, "A claim with the lifetime of the pod.", { proto: volumePlace }),
  image: optional(30, ImageVolumeSource, "Files of an image.", { proto: volumePlace }),
}));
export type Volume = z.infer<typeof Volume>;
