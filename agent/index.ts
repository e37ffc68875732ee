/**
 * The kubelet of a machine: its configuration and its components. `main.ts` is the process.
 */
export { type AgentConfig, readConfig } from "./config.ts";
export { type Kubelet, type KubeletOptions, startKubelet } from "./kubelet.ts";
