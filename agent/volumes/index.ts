/**
 * Pods' volumes on this machine: emptyDir, hostPath, configMap, secret, downwardAPI and projected, laid out below one
 * folder as the kubelet does, the values that the downward API takes from a pod, and the tokens that projected volumes
 * show. Other volumes are refused by name. It decides neither when a pod starts nor where its containers mount what.
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
export { type PodTokens, podTokens, type TokenAsked, type TokensOptions } from "./tokens.ts";
