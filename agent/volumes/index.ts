/**
 * Pods' volumes on this machine: emptyDir, hostPath, NFS, configMap, secret, downwardAPI, projected and those of
 * drivers, laid out below one folder as the kubelet does, the values of the downward API, and the tokens of projected
 * volumes. Volumes of other kinds are refused. It decides neither when a pod starts nor which containers mount which
 * volume.
 */
export { atomicWrite, type Payload } from "./atomic.ts";
export { fieldValue, resourceValue } from "./downward.ts";
export type { DriverVolumes, Mounted, VolumePlace } from "./driver.ts";
export { memorySize } from "./empty-dir.ts";
export { makeFolders, makeFoldersSync } from "./folders.ts";
export { dropMemory } from "./memory.ts";
export { changeOwnership, type Ownership } from "./ownership.ts";
export {
  noVolumes,
  type PodVolumes,
  podVolumes,
  type SubPath,
  VolumeError,
  type VolumesOptions,
} from "./pod-volumes.ts";
export { bindSubPath, subPathOf } from "./sub-path.ts";
export { type IssuedToken, type PodTokens, podTokens, type TokensOptions, type VolumeToken } from "./tokens.ts";
