import type * as z from "zod";
import { boolean, int32, list, map, message, optional, required, string } from "../../meta/index.ts";
import { LocalObjectReference } from "../reference.ts";

export const AWSElasticBlockStoreVolumeSource = message("io.k8s.api.core.v1.AWSElasticBlockStoreVolumeSource", () => ({
  volumeID: required(1, string, "Id of the volume."),
  fsType: optional(2, string, "Type of the file system, such as ext4."),
  partition: optional(3, int32, "Number of the partition; absent for the whole disk."),
  readOnly: optional(4, boolean, "Whether it is read-only."),
}));
export type AWSElasticBlockStoreVolumeSource = z.infer<typeof AWSElasticBlockStoreVolumeSource>;

export const AzureDiskVolumeSource = message("io.k8s.api.core.v1.AzureDiskVolumeSource", () => ({
  diskName: required(1, string, "Name of the disk."),
  diskURI: required(2, string, "URI of the disk."),
  cachingMode: optional(3, string, "None, ReadOnly or ReadWrite.", {
    default: "ReadWrite",
    isPointer: true,
    values: ["None", "ReadOnly", "ReadWrite"],
  }),
  fsType: optional(4, string, "Type of the file system, such as ext4.", { default: "ext4", isPointer: true }),
  readOnly: optional(5, boolean, "Whether it is read-only.", { default: false, isPointer: true }),
  kind: optional(6, string, "Shared, Dedicated or Managed.", {
    default: "Shared",
    isPointer: true,
    values: ["Dedicated", "Managed", "Shared"],
  }),
}));
export type AzureDiskVolumeSource = z.infer<typeof AzureDiskVolumeSource>;

export const AzureFileVolumeSource = message("io.k8s.api.core.v1.AzureFileVolumeSource", () => ({
  secretName: required(1, string, "The secret with name and key of the account."),
  shareName: required(2, string, "Name of the share."),
  readOnly: optional(3, boolean, "Whether it is read-only."),
}));
export type AzureFileVolumeSource = z.infer<typeof AzureFileVolumeSource>;

export const CephFSVolumeSource = message("io.k8s.api.core.v1.CephFSVolumeSource", () => ({
  monitors: required(1, list(string), "Ceph's monitors.", { list: "atomic" }),
  path: optional(2, string, "The folder that is mounted."),
  user: optional(3, string, "Name of the user."),
  secretFile: optional(4, string, "The file with the user's key."),
  secretRef: optional(5, LocalObjectReference, "The secret with the credentials for the driver."),
  readOnly: optional(6, boolean, "Whether it is read-only."),
}));
export type CephFSVolumeSource = z.infer<typeof CephFSVolumeSource>;

export const CinderVolumeSource = message("io.k8s.api.core.v1.CinderVolumeSource", () => ({
  volumeID: required(1, string, "Id of the volume."),
  fsType: optional(2, string, "Type of the file system, such as ext4."),
  readOnly: optional(3, boolean, "Whether it is read-only."),
  secretRef: optional(4, LocalObjectReference, "The secret with the credentials for the driver."),
}));
export type CinderVolumeSource = z.infer<typeof CinderVolumeSource>;

export const FCVolumeSource = message("io.k8s.api.core.v1.FCVolumeSource", () => ({
  targetWWNs: optional(1, list(string), "World-wide names of the targets.", { list: "atomic" }),
  lun: optional(2, int32, "Number of the unit.", { isPointer: true }),
  fsType: optional(3, string, "Type of the file system, such as ext4."),
  readOnly: optional(4, boolean, "Whether it is read-only."),
  wwids: optional(5, list(string), "World-wide ids of the volume.", { list: "atomic" }),
}));
export type FCVolumeSource = z.infer<typeof FCVolumeSource>;

export const FlexVolumeSource = message("io.k8s.api.core.v1.FlexVolumeSource", () => ({
  driver: required(1, string, "Name of the driver."),
  fsType: optional(2, string, "Type of the file system, such as ext4."),
  secretRef: optional(3, LocalObjectReference, "The secret with the credentials for the driver."),
  readOnly: optional(4, boolean, "Whether it is read-only."),
  options: optional(5, map(string), "Settings for the driver."),
}));
export type FlexVolumeSource = z.infer<typeof FlexVolumeSource>;

export const FlockerVolumeSource = message("io.k8s.api.core.v1.FlockerVolumeSource", () => ({
  datasetName: optional(1, string, "Name of the dataset."),
  datasetUUID: optional(2, string, "Id of the dataset."),
}));
export type FlockerVolumeSource = z.infer<typeof FlockerVolumeSource>;

export const GCEPersistentDiskVolumeSource = message("io.k8s.api.core.v1.GCEPersistentDiskVolumeSource", () => ({
  pdName: required(1, string, "Name of the disk."),
  fsType: optional(2, string, "Type of the file system, such as ext4."),
  partition: optional(3, int32, "Number of the partition; absent for the whole disk."),
  readOnly: optional(4, boolean, "Whether it is read-only."),
}));
export type GCEPersistentDiskVolumeSource = z.infer<typeof GCEPersistentDiskVolumeSource>;

export const GitRepoVolumeSource = message("io.k8s.api.core.v1.GitRepoVolumeSource", () => ({
  repository: required(1, string, "URL of the repository."),
  revision: optional(2, string, "The commit."),
  directory: optional(3, string, "The folder that the files go to."),
}));
export type GitRepoVolumeSource = z.infer<typeof GitRepoVolumeSource>;

export const GlusterfsVolumeSource = message("io.k8s.api.core.v1.GlusterfsVolumeSource", () => ({
  endpoints: required(1, string, "The Endpoints object that names the servers."),
  path: required(2, string, "Name of the volume."),
  readOnly: optional(3, boolean, "Whether it is read-only."),
}));
export type GlusterfsVolumeSource = z.infer<typeof GlusterfsVolumeSource>;

export const ISCSIVolumeSource = message("io.k8s.api.core.v1.ISCSIVolumeSource", () => ({
  targetPortal: required(1, string, "Address of the target."),
  iqn: required(2, string, "Name of the target."),
  lun: required(3, int32, "Number of the unit."),
  iscsiInterface: optional(4, string, "Name of the interface.", { default: "default" }),
  fsType: optional(5, string, "Type of the file system, such as ext4."),
  readOnly: optional(6, boolean, "Whether it is read-only."),
  portals: optional(7, list(string), "Further addresses of the target.", { list: "atomic" }),
  chapAuthDiscovery: optional(8, boolean, "Whether discovery uses CHAP authentication."),
  secretRef: optional(10, LocalObjectReference, "The secret with the credentials for the driver."),
  chapAuthSession: optional(11, boolean, "Whether sessions use CHAP authentication."),
  initiatorName: optional(12, string, "Name of the node towards the target.", { isPointer: true }),
}));
export type ISCSIVolumeSource = z.infer<typeof ISCSIVolumeSource>;

export const PhotonPersistentDiskVolumeSource = message("io.k8s.api.core.v1.PhotonPersistentDiskVolumeSource", () => ({
  pdID: required(1, string, "Id of the disk."),
  fsType: optional(2, string, "Type of the file system, such as ext4."),
}));
export type PhotonPersistentDiskVolumeSource = z.infer<typeof PhotonPersistentDiskVolumeSource>;

export const PortworxVolumeSource = message("io.k8s.api.core.v1.PortworxVolumeSource", () => ({
  volumeID: required(1, string, "Id of the volume."),
  fsType: optional(2, string, "Type of the file system, such as ext4."),
  readOnly: optional(3, boolean, "Whether it is read-only."),
}));
export type PortworxVolumeSource = z.infer<typeof PortworxVolumeSource>;

export const QuobyteVolumeSource = message("io.k8s.api.core.v1.QuobyteVolumeSource", () => ({
  registry: required(1, string, "Registries, as host:port with commas."),
  volume: required(2, string, "Name of the volume."),
  readOnly: optional(3, boolean, "Whether it is read-only."),
  user: optional(4, string, "User that it is mounted as."),
  group: optional(5, string, "Group that it is mounted as."),
  tenant: optional(6, string, "Tenant that owns the volume."),
}));
export type QuobyteVolumeSource = z.infer<typeof QuobyteVolumeSource>;

export const RBDVolumeSource = message("io.k8s.api.core.v1.RBDVolumeSource", () => ({
  monitors: required(1, list(string), "Ceph's monitors.", { list: "atomic" }),
  image: required(2, string, "Name of the image."),
  fsType: optional(3, string, "Type of the file system, such as ext4."),
  pool: optional(4, string, "Name of the pool.", { default: "rbd" }),
  user: optional(5, string, "Name of the user.", { default: "admin" }),
  keyring: optional(6, string, "The file with the user's key.", { default: "/etc/ceph/keyring" }),
  secretRef: optional(7, LocalObjectReference, "The secret with the credentials for the driver."),
  readOnly: optional(8, boolean, "Whether it is read-only."),
}));
export type RBDVolumeSource = z.infer<typeof RBDVolumeSource>;

export const ScaleIOVolumeSource = message("io.k8s.api.core.v1.ScaleIOVolumeSource", () => ({
  gateway: required(1, string, "Address of the gateway."),
  system: required(2, string, "Name of the system."),
  secretRef: required(3, LocalObjectReference, "The secret with the credentials for the driver.", { isPointer: true }),
  sslEnabled: optional(4, boolean, "Whether to use TLS with the gateway."),
  protectionDomain: optional(5, string, "Name of the protection domain."),
  storagePool: optional(6, string, "Name of the pool."),
  storageMode: optional(7, string, "ThickProvisioned or ThinProvisioned.", { default: "ThinProvisioned" }),
  volumeName: optional(8, string, "Name of the volume."),
  fsType: optional(9, string, "Type of the file system, such as ext4.", { default: "xfs" }),
  readOnly: optional(10, boolean, "Whether it is read-only."),
}));
export type ScaleIOVolumeSource = z.infer<typeof ScaleIOVolumeSource>;

export const StorageOSVolumeSource = message("io.k8s.api.core.v1.StorageOSVolumeSource", () => ({
  volumeName: optional(1, string, "Name of the volume."),
  volumeNamespace: optional(2, string, "StorageOS's namespace of the volume."),
  fsType: optional(3, string, "Type of the file system, such as ext4."),
  readOnly: optional(4, boolean, "Whether it is read-only."),
  secretRef: optional(5, LocalObjectReference, "The secret with the credentials for the driver."),
}));
export type StorageOSVolumeSource = z.infer<typeof StorageOSVolumeSource>;

export const VsphereVirtualDiskVolumeSource = message("io.k8s.api.core.v1.VsphereVirtualDiskVolumeSource", () => ({
  volumePath: required(1, string, "Path of the disk."),
  fsType: optional(2, string, "Type of the file system, such as ext4."),
  storagePolicyName: optional(3, string, "Name of the storage policy."),
  storagePolicyID: optional(4, string, "Id of the storage policy."),
}));
export type VsphereVirtualDiskVolumeSource = z.infer<typeof VsphereVirtualDiskVolumeSource>;
