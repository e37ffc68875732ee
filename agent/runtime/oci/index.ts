/**
 * Container images as data: tar archives, layers, configs and manifests by the OCI image specification, built in
 * memory, and pushed to a registry. It knows no runtime.
 */
export { dockerArchive } from "./archive.ts";
export {
  assembleImage,
  type Blob,
  type BuiltImage,
  buildImage,
  buildLayer,
  type ImageConfig,
  type ImagePlan,
  type Layer,
  layerOf,
} from "./image.ts";
export { pushImage } from "./push.ts";
export { pushStandIns, standInImages } from "./stand-ins.ts";
export { packTar, type TarMember, unpackTar } from "./tar.ts";
