/**
 * The pods of one node: a worker for each pod compares the pod with the runtime's state, plans and runs the next steps,
 * and reports the status. The state that it needs after a restart is stored in the runtime. It opens no connection: the
 * API, the runtime and the volumes are passed in.
 */
export { noVolumes, type PodTokens, type PodVolumes, podTokens, podVolumes, type VolumeToken } from "#agent/volumes";
export { PodCgroups } from "./cgroups.ts";
export type { NodeFacts, PodApi, PodRecorder, PodsContext } from "./context.ts";
export { type CollectionOptions, ImageCollection } from "./image-collection.ts";
export { PodManager } from "./manager.ts";
export { cgroupParentOf } from "./qos.ts";
export { logDirectoryOf } from "./sandbox-spec.ts";
