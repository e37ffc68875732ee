/**
 * A whole cluster on one machine: the control plane in this process over SQLite, the agent in another. All its data is
 * in one data folder, which only one cluster may use at a time. Other machines join it with an agent alone.
 */
export { down } from "./down.ts";
export { join } from "./join.ts";
export { kubeconfig } from "./kubeconfig.ts";
export type { DownOptions, JoinOptions, StatusOptions, UpOptions } from "./options.ts";
export { status } from "./status.ts";
export { up } from "./up.ts";
