/**
 * Pods' volumes on this machine: emptyDir, hostPath, configMap, secret, downwardAPI and projected, laid out below one
 * folder as the kubelet does, the values of the downward API, and the tokens of projected volumes. Volumes of other
 * kinds are refused. It decides neither when a pod starts nor which containers mount which volume.
 */
export { atomicWrite, type Payload } from "./atomic.ts";
export { fieldValue, resourceValue } from "./downward.ts";
export { makeFoldersSync } from "./folders.ts";
export { dropMemory } from "./memory.ts";
export {
  type Mounted,
  noVolumes,
  type PodVolumes,
  podVolumes,
  VolumeError,
  type VolumesOptions,
} from "./pod-volumes.ts";
export { subPathOf } from "./sub-path.ts";
export { type PodTokens, podTokens, type TokensOptions, type VolumeToken } from "./tokens.ts";
