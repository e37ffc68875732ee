/**
 * Static pods: manifests from a folder, a URL, or sent to a port of this machine, and the mirror pods that show them in
 * the API. It runs no containers.
 */
export { followFolder, type Source, type SourceOptions } from "./folder.ts";
export type { ManifestFault } from "./manifest.ts";
export { isMirror, MirroredPods } from "./mirrored-pods.ts";
export { manifestPort } from "./port.ts";
export { followUrl } from "./url.ts";
