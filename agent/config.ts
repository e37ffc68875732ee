import { readFile } from "node:fs/promises";
import * as z from "zod";

const cidr = z.string().regex(/^[0-9a-fA-F.:]+\/\d{1,3}$/, "must be a block of addresses such as 10.244.0.0/16");

const NodeIdentity = z.strictObject({
  name: z.string().min(1, "must not be empty"),
  /** In PEM. */
  certificate: z.strictObject({ cert: z.string(), key: z.string() }).optional(),
});

/** How one agent process is told what to do: a file of JSON that only its owner reads. */
const AgentConfig = z
  .strictObject({
    /** The API server's URL. */
    server: z.url({ protocol: /^https?$/, error: "must be a URL such as https://127.0.0.1:6443" }),
    /** The authority of the server's certificate, in PEM; without it, those that the machine trusts. */
    ca: z.string().optional(),
    /** The nodes that this process is, each with its own identity. More than one only with the fake runtime. */
    nodes: z.array(NodeIdentity),
    runtime: z.string(),
    /** Uses the runtime that listens there instead of a containerd of its own. */
    containerdSocket: z.string().optional(),
    /** Everything of the agent's lies here. */
    dataDir: z.string(),
    /** The cluster's pod addresses, of which each node gets a part. Without them, the node is given its part. */
    podCidr: cidr.optional(),
    serviceCidr: cidr.optional(),
    /** What the cluster has for itself on a machine that may have several; named after the node without it. */
    network: z.strictObject({ name: z.string(), bridge: z.string(), cgroupRoot: z.string() }).optional(),
    registryMirrors: z.array(z.string()).default([]),
    verbose: z.boolean().default(false),
    /** The agent ends when this process has gone. */
    parent: z.int().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    /** Requests are signed with the credentials of the machine's role, instead of a certificate. */
    sigv4: z.boolean().default(false),
    region: z.string().optional(),
    /** `wss://…`: the WebSocket API that tells of changes and takes heartbeats. */
    link: z.url({ protocol: /^wss?$/, error: "must be a URL such as wss://example.com/link" }).optional(),
    /** Containers' logs go to this group of CloudWatch Logs. */
    podLogGroup: z.string().optional(),
    /** The cluster may have a gateway: agents dial it, and show tokens that are made for this cluster. */
    gateway: z.strictObject({ clusterId: z.string().min(1, "must not be empty") }).optional(),
  })
  .superRefine((config, context) => {
    const issue = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    const { nodes, runtime, sigv4 } = config;
    if (runtime !== "containerd" && runtime !== "fake")
      issue(["runtime"], `${runtime} is not supported: containerd or fake`);
    if (nodes.length === 0) issue(["nodes"], "must name a node");
    if (nodes.length > 1 && runtime !== "fake")
      issue(["nodes"], "more than one in a process is only possible with the fake runtime");
    if (sigv4 && nodes.length > 1) issue(["nodes"], "a machine's role is one node, not several");
    for (const [index, { certificate }] of nodes.entries()) {
      if (sigv4 && certificate) issue(["nodes", index, "certificate"], "must not be given with sigv4");
      if (!sigv4 && !certificate) issue(["nodes", index, "certificate"], "is missing");
    }
    for (const name of ["region", "link"] as const) {
      if (sigv4 && config[name] === undefined) issue([name], "is missing, with sigv4");
    }
    for (const name of ["region", "link", "podLogGroup", "gateway"] as const) {
      if (!sigv4 && config[name] !== undefined) issue([name], "is only for sigv4");
    }
  });

export type AgentConfig = z.output<typeof AgentConfig> & { runtime: "containerd" | "fake" };

/** Throws an Error of one line: the file, the field, and what is wrong with it. */
export async function readConfig(path: string): Promise<AgentConfig> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = AgentConfig.safeParse(value);
  if (parsed.success) return parsed.data as AgentConfig;
  const [issue] = parsed.error.issues;
  if (issue?.code === "unrecognized_keys") {
    throw new Error(`${path}: ${[...issue.path, issue.keys[0]].join(".")}: there is no such field`);
  }
  const field = issue?.path.join(".") || "configuration";
  const isMissing = issue?.code === "invalid_type" && at(value, issue.path) === undefined;
  throw new Error(`${path}: ${field}: ${isMissing ? "is missing" : issue?.message}`);
}

const at = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value);

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
