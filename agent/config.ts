import { readFile } from "node:fs/promises";

/** How one agent process is told what to do: a file of JSON that only its owner reads. */
export interface AgentConfig {
  /** The API server's URL. */
  server: string;
  /** The authority of the server's certificate, in PEM. */
  ca: string;
  /** The nodes that this process is, each with its own identity. More than one only with the fake runtime. */
  nodes: { name: string; certificate: { cert: string; key: string } }[];
  runtime: "containerd" | "fake";
  /** Uses the runtime that listens there instead of a containerd of its own. */
  containerdSocket?: string;
  /** Everything of the agent's lies here. */
  dataDir: string;
  /** The cluster's pod addresses: each node gets a part of them. */
  podCidr: string;
  registryMirrors: string[];
  verbose: boolean;
  /** The agent ends when this process has gone. */
  parent?: number;
  labels?: Record<string, string>;
}

/** Throws an Error that names the file and what is missing in it. */
export async function readConfig(path: string): Promise<AgentConfig> {
  const config = JSON.parse(await readFile(path, "utf8")) as AgentConfig;
  for (const key of ["server", "nodes", "runtime", "dataDir", "podCidr"] as const) {
    if (config[key] === undefined) throw new Error(`${path}: ${key} is missing`);
  }
  if (config.runtime !== "containerd" && config.runtime !== "fake") {
    throw new Error(`${path}: runtime ${config.runtime} is not supported: containerd or fake`);
  }
  if (config.nodes.length === 0) throw new Error(`${path}: no nodes`);
  if (config.nodes.length > 1 && config.runtime !== "fake") {
    throw new Error(`${path}: more than one node in a process is only possible with the fake runtime`);
  }
  return config;
}

/** Each node has addresses for 254 pods. */
const nodeBits = 24;

/**
 * The part of the cluster's pod addresses that belongs to the node with this number. Small ranges are shared by all.
 * IPv4 only; IPv6 ranges are shared.
 */
export function podCidrOf(cluster: string, index: number): string {
  const [base = "", bits = "0"] = cluster.split("/");
  if (base.includes(":") || Number(bits) >= nodeBits) return cluster;
  const first = base.split(".").reduce((total, part) => total * 256 + Number(part), 0);
  const parts = 2 ** (nodeBits - Number(bits));
  // More nodes than parts, as in tests of scale: addresses repeat.
  const address = first + (index % parts) * 2 ** (32 - nodeBits);
  const text = [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
  return `${text}/${nodeBits}`;
}
