/**
 * The environment variables that a deployment sets, by name: read by functions and the gateway, set by the stacks.
 */
import * as z from "zod";

/** The variables of functions and of the gateway, with their schemas. */
export const variables = {
  SKIFF_CLUSTER: z.string().min(1),
  SKIFF_CLUSTER_ID: z.string().min(1),
  SKIFF_OBJECTS_TABLE: z.string().min(1),
  SKIFF_CHANGES_TABLE: z.string().min(1),
  SKIFF_RECONCILE_QUEUE_URL: z.url(),
  SKIFF_SCHEDULE_QUEUE_URL: z.url(),
  SKIFF_FARGATE_QUEUE_URL: z.url(),
  SKIFF_RECONCILE_DEAD_LETTER_QUEUE_URL: z.url(),
  SKIFF_SCHEDULE_DEAD_LETTER_QUEUE_URL: z.url(),
  SKIFF_FARGATE_DEAD_LETTER_QUEUE_URL: z.url(),
  SKIFF_WAIT_ARN: z.string().startsWith("arn:"),
  SKIFF_LINK_URL: z.url(),
  SKIFF_ADMINISTRATOR: z.string().startsWith("arn:"),
  SKIFF_NODE_ROLES: z.string(),
  SKIFF_SIGNING_SECRET_ARN: z.string().startsWith("arn:"),
  SKIFF_ISSUER: z.url(),
  SKIFF_OIDC_BUCKET: z.string().min(1),
  SKIFF_POD_LOG_GROUP: z.string().min(1),
  SKIFF_ECS_CLUSTER: z.string().min(1),
  SKIFF_SUBNETS: z.string(),
  SKIFF_SECURITY_GROUPS: z.string(),
  SKIFF_TASK_EXECUTION_ROLE: z.string().startsWith("arn:"),
  SKIFF_SERVICE_CIDR: z.string().min(1),
  SKIFF_POD_CIDR: z.string().min(1),
  SKIFF_VPC: z.string().min(1),
  SKIFF_ROUTE_TABLES: z.string(),
  SKIFF_BALANCER_SECURITY_GROUP: z.string().min(1),
  SKIFF_ENDPOINT: z.url(),
  SKIFF_WATCHES: z.string().regex(/^[1-9]\d*$/),
  SKIFF_DELIVERY: z.enum(["newline", "padding", "close"]),
} as const;

export type Variable = keyof typeof variables;

/** The variables that the gateway has too. */
export const gatewayVariables = [
  "SKIFF_CLUSTER_ID",
  "SKIFF_OBJECTS_TABLE",
  "SKIFF_CHANGES_TABLE",
  "SKIFF_RECONCILE_QUEUE_URL",
  "SKIFF_SCHEDULE_QUEUE_URL",
  "SKIFF_FARGATE_QUEUE_URL",
  "SKIFF_ADMINISTRATOR",
  "SKIFF_NODE_ROLES",
  "SKIFF_SIGNING_SECRET_ARN",
  "SKIFF_ISSUER",
  "SKIFF_POD_LOG_GROUP",
  "SKIFF_SERVICE_CIDR",
  "SKIFF_POD_CIDR",
] as const satisfies readonly Variable[];

/** The items of a variable that is a list separated by commas. */
export const listIn = (text: string): string[] => text.split(",").filter((item) => item !== "");

/** Reads several variables of this process. Throws an Error with the name of one that is missing or malformed. */
export const requiredVariables = <Name extends Variable>(names: readonly Name[]): Record<Name, string> =>
  Object.fromEntries(names.map((name) => [name, requiredVariable(name)])) as Record<Name, string>;

/** Reads a variable of this process. Throws an Error with its name if it is missing or malformed. */
export function requiredVariable(name: Variable): string {
  const read = variables[name].safeParse(process.env[name]);
  if (!read.success) throw new Error(`the environment variable ${name}: ${read.error.issues[0]?.message}`);
  return read.data;
}
