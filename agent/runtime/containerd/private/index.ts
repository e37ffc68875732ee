/**
 * A containerd of Skiff's own: its configuration, network, mirrors and sandbox image under one folder, started
 * detached so that containers outlive the agent, adopted by the next agent, ended by `skiff down`. It never uses the
 * system's containerd.
 */

export { removeCgroup } from "#agent/runtime";
export { type BridgeState, gatewayOf, repairBridge } from "./bridge.ts";
export {
  mirrorFiles,
  namedAfter,
  type PodNetwork,
  parseMirrors,
  podNetworkConfig,
  type RegistryMirrors,
} from "./config.ts";
export { findMissing, findPluginFolder, installRuntime, type Missing } from "./install.ts";
export {
  keepPrivate,
  mayLowerOomScore,
  type PrivateContainerd,
  type PrivateOptions,
  startPrivate,
  stopPrivate,
} from "./lifecycle.ts";
export { sandboxImage, sandboxImageName, sandboxProgram } from "./sandbox-image.ts";
