/**
 * CSI drivers on this node: their registration over sockets, what they change in the API's Node and CSINode, and the
 * volumes that they publish for pods. It does not decide when a pod's volumes are mounted: see volumes/.
 */
export { CountUpdates } from "./count-updates.ts";
export { type AccessMode, type Capability, Driver, isFinal, type NodeInfo, type VolumeUsage } from "./driver.ts";
export { Drivers, type PluginInfo } from "./drivers.ts";
export { entryOf, NodeObjects, nodeIdAnnotation, nodePatch } from "./node-objects.ts";
export { Registration } from "./registration.ts";
export { csi as csiTable, registration as registrationTable } from "./tables.ts";
export { CsiVolumes, type CsiVolumesOptions, volumeIdOf } from "./volumes.ts";
