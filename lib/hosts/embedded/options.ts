import type { ProxyMode } from "#agent/network";
import type { OverlayMode } from "#agent/overlay";

/** How this machine runs its node. */
export interface MachineOptions {
  dataDir: string;
  runtime: "auto" | "containerd" | "docker" | "fake";
  containerdSocket?: string;
  /** The engine's socket, with the docker runtime; without it DOCKER_HOST's, else Docker's usual one. */
  dockerSocket?: string;
  installRuntime: boolean;
  /** The machine's host name without it. */
  nodeName?: string;
  /** Without it nftables, where the machine has it. */
  proxyMode?: ProxyMode;
  /** Which addresses of the machine answer node ports: `primary`, `localhost`, `all` and blocks. */
  nodeportAddresses?: string[];
  /** When packets to nodes on other machines travel in VXLAN. */
  overlay: OverlayMode;
  registryMirror: string[];
  /** The machine's /etc/resolv.conf without it. */
  resolvConf?: string;
  /** When pods are evicted: thresholds such as `memory.available<100Mi`, and grace periods of the soft ones. */
  evictionHard?: string;
  evictionSoft?: string;
  evictionSoftGracePeriod?: string;
  /** What is kept from pods, such as `cpu=500m,memory=1Gi`. */
  systemReserved?: string;
  kubeReserved?: string;
  /** How long pods have to end when the machine shuts down: durations, or `0=10s,100000=1m` by priority. */
  shutdownGracePeriod?: string;
  shutdownGracePeriodCriticalPods?: string;
  shutdownGracePeriodByPodPriority?: string;
  /** Manifests of static pods: an absolute path, a URL with headers as `NAME: VALUE`, a port on the loopback address. */
  staticPodPath?: string;
  staticPodUrl?: string;
  staticPodUrlHeader: string[];
  staticPodPort?: number;
  verbose: boolean;
}

export interface UpOptions extends MachineOptions {
  bind: string;
  port: number;
  nodes: number;
  /** A block that is free on the machine without it. */
  podCidr?: string;
  /** A block that is free on the machine without it. */
  serviceCidr?: string;
  auditLog?: string;
}

export interface JoinOptions extends MachineOptions {
  /** Such as `https://10.0.0.1:6443`. Absent where the machine has joined before. */
  server?: string;
  token?: string;
  /** `sha256:` and the hash of the cluster's authority's public key. */
  caHash?: string;
}

export interface DownOptions {
  dataDir: string;
}

export interface StatusOptions {
  dataDir: string;
  output: "text" | "json";
}
