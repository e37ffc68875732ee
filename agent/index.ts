/**
 * The kubelet of a machine: its configuration and what runs a node. As a process it is `main.ts`.
 */
export { type AgentConfig, readConfig } from "./config.ts";
export { type Kubelet, type KubeletOptions, startKubelet } from "./kubelet.ts";
