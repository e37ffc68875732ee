/**
 * Container images as data: tar archives, layers, configs and manifests by the OCI image specification, built in
 * memory, and pushed to a registry. It talks to no runtime.
 */
export { packTar, type TarMember, unpackTar } from "./tar.ts";
