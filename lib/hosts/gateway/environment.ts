import { z } from "zod";

const url = z.url();
const arn = z.string().startsWith("arn:");
const word = z.string().min(1);

/** What the deployment tells the gateway, by the names of its environment variables. */
const Environment = z.object({
  SKIFF_CLUSTER_ID: word,
  SKIFF_OBJECTS_TABLE: word,
  SKIFF_CHANGES_TABLE: word,
  SKIFF_RECONCILE_QUEUE_URL: url,
  SKIFF_SCHEDULE_QUEUE_URL: url,
  SKIFF_FARGATE_QUEUE_URL: url,
  SKIFF_ADMINISTRATOR: arn,
  SKIFF_NODE_ROLES: z.string(),
  SKIFF_SIGNING_SECRET_ARN: arn,
  SKIFF_ISSUER: url,
  SKIFF_POD_LOG_GROUP: word,
  SKIFF_SERVICE_CIDR: word,
  SKIFF_POD_CIDR: word,
  /** The DNS name under which clients find the gateway, and the port. */
  SKIFF_GATEWAY_NAME: word,
  SKIFF_PORT: z.coerce.number().int().min(0).max(65_535),
  /** Where ECS tells a task about itself; set by ECS. */
  ECS_CONTAINER_METADATA_URI_V4: url.optional(),
  /** Instead of STS's own host. */
  AWS_ENDPOINT_URL_STS: url.optional(),
});

export type Environment = z.output<typeof Environment>;

/** Throws an Error with the name of a variable that the deployment left out or gave nonsense. */
export function readEnvironment(given: Readonly<Record<string, string | undefined>>): Environment {
  const read = Environment.safeParse(given);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new Error(`the environment variable ${String(issue?.path[0])}: ${issue?.message}`);
}
