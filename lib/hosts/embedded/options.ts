import type { ProxyMode } from "#agent/network";

export interface UpOptions {
  dataDir: string;
  bind: string;
  port: number;
  runtime: "auto" | "containerd" | "fake";
  containerdSocket?: string;
  installRuntime: boolean;
  nodes: number;
  /** The machine's host name without it. */
  nodeName?: string;
  /** A block that is free on the machine without it. */
  podCidr?: string;
  /** A block that is free on the machine without it. */
  serviceCidr?: string;
  /** Without it nftables, where the machine has it. */
  proxyMode?: ProxyMode;
  registryMirror: string[];
  /** The machine's /etc/resolv.conf without it. */
  resolvConf?: string;
  /** When pods are evicted: thresholds such as `memory.available<100Mi`, and grace periods of the soft ones. */
  evictionHard?: string;
  evictionSoft?: string;
  evictionSoftGracePeriod?: string;
  /** Manifests of static pods: an absolute path, a URL with headers as `NAME: VALUE`, a port on the loopback address. */
  staticPodPath?: string;
  staticPodUrl?: string;
  staticPodUrlHeader: string[];
  staticPodPort?: number;
  auditLog?: string;
  verbose: boolean;
}

export interface DownOptions {
  dataDir: string;
}

export interface StatusOptions {
  dataDir: string;
  output: "text" | "json";
}
