import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { type FunctionName, functionNames } from "./functions.ts";

/** The longest name of a cluster: all names derived from it then fit AWS's limits. */
export const longestCluster = 40;
/** Retention periods that CloudWatch Logs supports, in days. */
const retentions = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

const days = (usual: number) =>
  z
    .number()
    .refine((value) => retentions.includes(value), `must be one of ${retentions.join(", ")} (days)`)
    .default(usual);
const cidr = z.string().regex(/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/, "must be an IPv4 block such as 10.0.0.0/16");
const label = /^[a-z]([a-z0-9-]*[a-z0-9])?$/;
const image = z
  .string()
  .min(1, "must be the name of an image, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/skiff:1");
const tableName = z.string().regex(/^[a-zA-Z0-9_.-]{3,255}$/, "must be the name of a table");
const streamArn = z
  .string()
  .regex(/^arn:aws[a-z-]*:dynamodb:[^:]+:\d{12}:table\/[^/]+\/stream\/\S+$/, "must be the ARN of a table's stream");

const usualTypes = { arm64: ["t4g.small"], x86_64: ["t3a.small"] };

const NodeGroup = z
  .strictObject({
    name: z.string().regex(label, "must be lower case letters, digits and dashes").max(20),
    architecture: z.enum(["arm64", "x86_64"]).default("arm64"),
    instanceTypes: z
      .array(z.string().regex(/^[a-z0-9-]+\.[a-z0-9]+$/, "must be an instance type such as t4g.small"))
      .min(1)
      .max(20)
      .optional(),
    minimum: z.int().min(0).default(0),
    maximum: z.int().min(1).default(3),
    spot: z.boolean().default(false),
    /** GiB of the encrypted root volume. */
    disk: z.int().min(8).max(16_384).default(20),
    labels: z.record(z.string(), z.string()).default({}),
  })
  .superRefine(({ minimum, maximum, architecture, instanceTypes = [] }, context) => {
    const issue = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    if (minimum > maximum) issue(["minimum"], "must not be above maximum");
    for (const [index, type] of instanceTypes.entries()) {
      if (isGraviton(type) !== (architecture === "arm64"))
        issue(["instanceTypes", index], `${type} is not ${architecture}`);
    }
  })
  .transform((group) => ({ ...group, instanceTypes: group.instanceTypes ?? usualTypes[group.architecture] }));

const Vpc = z
  .strictObject({
    /** The VPC to adopt. Default: a VPC is created. */
    id: z
      .string()
      .regex(/^vpc-[0-9a-f]{8,17}$/, "must be the id of a VPC")
      .optional(),
    /** The adopted VPC's subnets in which nodes and tasks run. They need a way out. */
    subnets: z
      .array(z.string().regex(/^subnet-[0-9a-f]{8,17}$/, "must be the id of a subnet"))
      .min(1)
      .optional(),
    /** The adopted VPC's route tables in which routes to pods are written; without, instances' pods do not meet. */
    routeTables: z.array(z.string().regex(/^rtb-[0-9a-f]{8,17}$/, "must be the id of a route table")).optional(),
    cidr: cidr.default("10.0.0.0/16"),
    zones: z.int().min(1).max(3).default(2),
  })
  .refine(({ id, subnets }) => id === undefined || subnets !== undefined, {
    path: ["subnets"],
    message: "must name the subnets of the adopted VPC",
  })
  .refine(({ id, subnets }) => id !== undefined || subnets === undefined, {
    path: ["id"],
    message: "must name the VPC of these subnets",
  })
  .refine(({ id, routeTables }) => id !== undefined || routeTables === undefined, {
    path: ["routeTables"],
    message: "belong to an adopted VPC",
  });

const Config = z
  .strictObject({
    cluster: z
      .string()
      .regex(label, "must be lower case letters, digits and dashes, beginning with a letter")
      .max(longestCluster, `must have at most ${longestCluster} characters`),
    region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, "must be a region such as eu-west-1"),
    /** The account and region of deployments. Default: those of the deploying credentials. */
    account: z
      .string()
      .regex(/^\d{12}$/, "must be the 12 digits of an account")
      .optional(),
    /** The first administrator: an IAM user or role. */
    administrator: z
      .string()
      .regex(/^arn:aws[a-z-]*:iam::\d{12}:(user|role)\/\S+$/, "must be the ARN of an IAM user or role"),
    nodeGroups: z.array(NodeGroup).default([]),
    /** Agents as an ECS service, one on each instance. The image's entry point is the agent; without one it is built. */
    agentService: z
      .strictObject({
        image: image.optional(),
        instanceType: z.string().default("t4g.small"),
        count: z.int().min(1).default(1),
      })
      .optional(),
    vpc: Vpc.prefault({}),
    podCidr: cidr.default("10.244.0.0/16"),
    serviceCidr: cidr.default("10.96.0.0/16"),
    /** How nodes put services into force. Default: nftables where the machine's image has it. */
    proxyMode: z.enum(["nftables", "iptables", "userspace", "none"]).optional(),
    /** The API server as one small ECS service. The image's entry point is the server. Default: it is built. */
    gateway: z
      .strictObject({
        image: image.optional(),
        port: z.int().min(1).max(65_535).default(6443),
        /** `internal`: for a VPC that clients reach by a private route; its subnets need no route to the internet. */
        scheme: z.enum(["internet-facing", "internal"]).default("internet-facing"),
        /** The blocks of allowed clients; every client also needs a token. */
        allow: z.array(cidr).min(1, "must name the allowed clients, such as 0.0.0.0/0"),
      })
      .optional(),
    domain: z
      .strictObject({
        name: z.string().regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, "must be a domain name"),
        certificate: z
          .string()
          .regex(/^arn:aws[a-z-]*:acm:\S+$/, "must be the ARN of an ACM certificate of this region"),
        /** The Route 53 zone of the DNS record. Default: the record is created by hand. */
        zone: z.strictObject({ id: z.string(), name: z.string() }).optional(),
      })
      .optional(),
    tags: z.record(z.string().min(1).max(128), z.string().max(256)).default({}),
    permissionsBoundary: z
      .string()
      .regex(/^arn:aws[a-z-]*:iam::(\d{12}|aws):policy\/\S+$/, "must be the ARN of a managed policy")
      .optional(),
    retention: z.strictObject({ functions: days(14), access: days(14), pods: days(30) }).prefault({}),
    memory: z
      .partialRecord(z.enum(functionNames as [FunctionName, ...FunctionName[]]), z.int().min(128).max(10_240))
      .default({}),
    /** How many messages of a queue are worked on at once. */
    concurrency: z.int().min(2).max(1000).default(10),
    /** The throttle of the API: requests a second, and the burst. */
    throttle: z.strictObject({ rate: z.int().min(1).default(200), burst: z.int().min(1).default(400) }).prefault({}),
    /** The most watches at once, each of which occupies a Lambda, and how events are pushed to their clients. */
    watches: z
      .strictObject({
        limit: z.int().min(1).max(5000).default(50),
        /** `padding` costs bytes and `close` requests: for when a newline does not push an event through at once. */
        delivery: z.enum(["newline", "padding", "close"]).default("newline"),
      })
      .prefault({}),
    alarms: z
      .strictObject({
        enabled: z.boolean().default(false),
        /**
         * `few`: two alarms that notify, for 20 cents a month, besides the one that always exists. `all`: also alarms of
         * requests, two composite alarms, and a dashboard.
         */
        level: z.enum(["few", "all"]).default("few"),
        email: z.email("must be an e-mail address").optional(),
      })
      .prefault({}),
    /** Whether pods may run as Fargate tasks; the queue to that is read all the time, for 33 cents a month. */
    fargate: z.boolean().default(false),
    /** Whether the two documents by which AWS IAM trusts the cluster's service accounts are public. */
    publicIssuer: z.boolean().default(true),
    /** Restored tables, used instead of new ones; `stream` is that of the changes. */
    restored: z.strictObject({ objects: tableName, changes: tableName, stream: streamArn }).optional(),
    /** Whether tables, secret, logs and issuer are kept or deleted with the stacks. */
    data: z.enum(["keep", "delete"]).default("keep"),
  })
  .superRefine((config, context) => {
    for (const [index, group] of config.nodeGroups.entries()) {
      const first = config.nodeGroups.findIndex(({ name }) => name === group.name);
      if (first !== index)
        context.addIssue({ code: "custom", path: ["nodeGroups", index, "name"], message: "is taken" });
    }
    const { restored } = config;
    if (restored && !restored.stream.includes(`:table/${restored.changes}/`))
      context.addIssue({ code: "custom", path: ["restored", "stream"], message: `is not ${restored.changes}'s` });
    const blocks = [
      ["podCidr", config.podCidr],
      ["serviceCidr", config.serviceCidr],
      ...(config.vpc.id === undefined ? [["vpc", config.vpc.cidr] as const] : []),
    ] as const;
    for (const [at, [field, block]] of blocks.entries()) {
      for (const [other, taken] of blocks.slice(0, at)) {
        if (!overlap(block, taken)) continue;
        const path = field === "vpc" ? ["vpc", "cidr"] : [field];
        context.addIssue({ code: "custom", path, message: `overlaps ${other}` });
      }
    }
  });

/** Graviton types have a g behind the generation (t4g, m7gd, c6gn, im4gn); and there is a1. */
const isGraviton = (type: string): boolean => /^(?:[a-z]+\d+g[a-z]*|a1)\./.test(type);

export type Config = z.output<typeof Config>;
export type ConfigInput = z.input<typeof Config>;

function overlap(a: string, b: string): boolean {
  const range = (block: string): [number, number] => {
    const [address = "", bits = "0"] = block.split("/");
    const size = 2 ** (32 - Number(bits));
    const value = address.split(".").reduce((total, part) => total * 256 + Number(part), 0);
    const first = Math.floor(value / size) * size;
    return [first, first + size - 1];
  };
  const [[a1, a2], [b1, b2]] = [range(a), range(b)];
  return a1 <= b2 && b1 <= a2;
}

/** Throws an Error with one line: the source of the configuration, the field, and its fault. */
export function parseConfig(value: unknown, origin: string): Config {
  const parsed = Config.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (!issue) throw new Error(`${origin}: not understood`);
  if (issue.code === "unrecognized_keys") {
    throw new Error(`${origin}: ${[...issue.path, issue.keys[0]].join(".")}: unknown field`);
  }
  const field = issue.path.join(".") || "configuration";
  const isMissing = issue.code === "invalid_type" && at(value, issue.path) === undefined;
  throw new Error(`${origin}: ${field}: ${isMissing ? "is missing" : issue.message}`);
}

const at = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value);

/** Fields that context on the command line may set: `--context data=delete`. */
const fromContext = ["cluster", "region", "account", "administrator", "data"] as const;

/**
 * Reads the configuration: the file (`skiff.config.json`, or the context's `config`), overridden by single fields of
 * the context. Throws as `parseConfig`, or an Error if the file does not exist.
 */
export function readConfig(context: (key: string) => unknown): Config {
  const named = context("config");
  const file = typeof named === "string" ? named : "skiff.config.json";
  const given = fromContext.flatMap((key) =>
    context(key) === undefined ? [] : [[key, String(context(key))] as const],
  );
  if (!existsSync(file) && (typeof named === "string" || given.every(([key]) => key === "data"))) {
    throw new Error(`${file}: not found; infra/example.config.json is an example`);
  }
  const written = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as object) : {};
  return parseConfig({ ...written, ...Object.fromEntries(given) }, file);
}
