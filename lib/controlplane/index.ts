/**
 * The control plane put together from ports: API server, admission, authorization, controllers and scheduler over a
 * store that the host names. It names no driver, opens no socket and starts no process.
 */
export { isRoutine } from "./audit.ts";
export { ControlPlane, type ControlPlaneOptions } from "./control-plane.ts";
export { allowJoining, type JoiningOptions } from "./joining.ts";
export { logShards } from "./log-shards.ts";
export type { OnDemand } from "./on-demand.ts";
