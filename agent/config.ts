import { readFile } from "node:fs/promises";
import * as z from "zod";
import { parseSoftThresholds, parseThresholds } from "#agent/eviction";
import { isNodePortAddress, proxyModes } from "#agent/network";
import { parseReserved } from "#agent/node";
import { overlayModes } from "#agent/overlay";
import { parsePeriods } from "#agent/shutdown";

const cidr = z.string().regex(/^[0-9a-fA-F.:]+\/\d{1,3}$/, "must be a block of addresses such as 10.244.0.0/16");

const NodeIdentity = z.strictObject({
  name: z.string().min(1, "must not be empty"),
  /** In PEM. */
  certificate: z.strictObject({ cert: z.string(), key: z.string() }).optional(),
});

/** The configuration of one agent process: a JSON file that only its owner can read. */
const AgentConfig = z
  .strictObject({
    /** The API server's URL. */
    server: z.url({ protocol: /^https?$/, error: "must be a URL such as https://127.0.0.1:6443" }),
    /** The CA of the server's certificate, in PEM. Defaults to the CAs that the machine trusts. */
    ca: z.string().optional(),
    /** The nodes of this process, each with its own identity. More than one only with the fake runtime. */
    nodes: z.array(NodeIdentity),
    runtime: z.string(),
    /** The socket of an existing runtime. Defaults to a containerd of the agent's own. */
    containerdSocket: z.string().optional(),
    /** The socket of the engine, with the docker runtime. */
    dockerSocket: z.string().optional(),
    /** The folder of all the agent's files. */
    dataDir: z.string(),
    /** The cluster's pod addresses, of which each node uses a part. Absent: the cluster assigns the node's range. */
    podCidr: cidr.optional(),
    /**
     * The pod addresses of all nodes, between which packets keep their sender's address. Absent where another part routes
     * and masquerades: on AWS, and with an existing runtime.
     */
    clusterCidr: cidr.optional(),
    /** The cluster may have nodes on other machines: when packets to them travel in VXLAN. Absent: there are none. */
    overlay: z.enum(overlayModes, { error: `must be one of ${overlayModes.join(", ")}` }).optional(),
    serviceCidr: cidr.optional(),
    /** How services are put into force. Defaults to nftables where the kernel has it, else to iptables. */
    proxyMode: z.enum(proxyModes, { error: `must be one of ${proxyModes.join(", ")}` }).optional(),
    /** Which addresses of the node answer node ports: keywords of kube-proxy's --nodeport-addresses, and blocks. */
    nodePortAddresses: z
      .array(z.string().refine(isNodePortAddress, "must be primary, localhost, all or a block of addresses"))
      .optional(),
    /** The cluster's own names on a machine with several clusters. Defaults to names derived from the node's. */
    network: z.strictObject({ name: z.string(), bridge: z.string(), cgroupRoot: z.string() }).optional(),
    registryMirrors: z.array(z.string()).default([]),
    /** The file with the node's own DNS servers. Defaults to the host's resolv.conf. */
    resolvConf: z.string().startsWith("/", "must be an absolute path").optional(),
    verbose: z.boolean().default(false),
    /** The agent stops when this process has ended. */
    parent: z.int().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    /** Requests are signed with the credentials of the machine's role, instead of a certificate. */
    sigv4: z.boolean().default(false),
    region: z.string().optional(),
    /** `wss://…`: the WebSocket API for hints and heartbeats. */
    link: z.url({ protocol: /^wss?$/, error: "must be a URL such as wss://example.com/link" }).optional(),
    /** The group of CloudWatch Logs for containers' logs. */
    podLogGroup: z.string().optional(),
    /** Manifests of pods that run without the API: a folder or file, a URL, a port on the loopback address. */
    staticPods: z
      .strictObject({
        path: z.string().startsWith("/", "must be an absolute path").optional(),
        url: z.url({ protocol: /^https?$/, error: "must be a URL such as http://127.0.0.1/pod.yaml" }).optional(),
        headers: z.record(z.string(), z.string()).optional(),
        port: z.int().min(1).max(65_535).optional(),
      })
      .optional(),
    /** When pods are evicted, in the forms of the kubelet's options. */
    eviction: z
      .strictObject({
        hard: z.string().optional(),
        soft: z.string().optional(),
        softGracePeriod: z.string().optional(),
      })
      .optional(),
    /** What is kept from pods, in the form of the kubelet's options, such as `cpu=500m,memory=1Gi`. */
    reserved: z.strictObject({ system: z.string().optional(), kube: z.string().optional() }).optional(),
    /** How long pods have to end when the machine shuts down, in the forms of the kubelet's options. */
    shutdown: z
      .strictObject({
        total: z.string().optional(),
        critical: z.string().optional(),
        byPriority: z.string().optional(),
      })
      .optional(),
    /** The cluster may have a gateway, which agents dial with tokens for this cluster. */
    gateway: z.strictObject({ clusterId: z.string().min(1, "must not be empty") }).optional(),
  })
  .superRefine((config, context) => {
    const issue = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    const { nodes, runtime, sigv4 } = config;
    if (runtime !== "containerd" && runtime !== "docker" && runtime !== "fake")
      issue(["runtime"], `${runtime} is not supported: containerd, docker or fake`);
    if (runtime === "docker" && config.dockerSocket === undefined) issue(["dockerSocket"], "is missing, with docker");
    if (runtime === "docker" && config.registryMirrors.length > 0)
      issue(["registryMirrors"], "are the engine's own configuration, with docker");
    if (nodes.length === 0) issue(["nodes"], "must name a node");
    if (nodes.length > 1 && runtime !== "fake")
      issue(["nodes"], "more than one in a process is only possible with the fake runtime");
    if (nodes.length > 1 && config.staticPods?.port !== undefined)
      issue(["staticPods", "port"], "is only possible with one node");
    const check = (path: PropertyKey[], parse: () => unknown): void => {
      try {
        parse();
      } catch (error) {
        issue(path, error instanceof Error ? error.message : String(error));
      }
    };
    for (const name of ["system", "kube"] as const) {
      check(["reserved", name], () => parseReserved(config.reserved?.[name] ?? ""));
    }
    const { hard = "", soft = "", softGracePeriod = "" } = config.eviction ?? {};
    check(["eviction"], () => [parseThresholds(hard), parseSoftThresholds(soft, softGracePeriod)]);
    check(["shutdown"], () => parsePeriods(config.shutdown ?? {}));
    if (config.overlay !== undefined && config.clusterCidr === undefined)
      issue(["clusterCidr"], "is missing, with overlay");
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

export type AgentConfig = z.output<typeof AgentConfig> & { runtime: "containerd" | "docker" | "fake" };

/** Throws an Error of one line with the file, the field, and its fault. */
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
 * The part of the cluster's pod addresses for the node with this index. All nodes share a small range. IPv4 only; all
 * nodes share an IPv6 range.
 */
export function podCidrOf(cluster: string, index: number): string {
  const [base = "", bits = "0"] = cluster.split("/");
  if (base.includes(":") || Number(bits) >= nodeBits) return cluster;
  const first = base.split(".").reduce((total, part) => total * 256 + Number(part), 0);
  const parts = 2 ** (nodeBits - Number(bits));
  // With more nodes than parts, as in scale tests, addresses repeat.
  const address = first + (index % parts) * 2 ** (32 - nodeBits);
  const text = [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
  return `${text}/${nodeBits}`;
}
