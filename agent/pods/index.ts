/**
 * The pods of one node: what each should be, what the runtime has of it, the next steps from one to the other, and
 * the status that tells of it. One worker per pod; all that it needs to remember over a restart lies in the runtime.
 * It opens no connection: the API, the runtime and the volumes are handed in.
 */
export { noVolumes, type PodVolumes, podTokens, podVolumes, type VolumeToken } from "#agent/volumes";
export type { NodeFacts, PodApi, PodRecorder, PodsContext } from "./context.ts";
export { type CollectionOptions, collectImages } from "./image-collection.ts";
export { PodManager } from "./manager.ts";
export { logDirectoryOf } from "./sandbox-spec.ts";
