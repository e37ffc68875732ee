/**
 * The kubelet of a machine: its configuration and its components. `main.ts` is the process.
 */
export { ClusterDns, type ClusterDnsOptions } from "./cluster-dns.ts";
export { type AgentConfig, readConfig } from "./config.ts";
export { type Kubelet, type KubeletOptions, startKubelet } from "./kubelet.ts";
export { ServiceList, type ServiceListOptions } from "./service-list.ts";
