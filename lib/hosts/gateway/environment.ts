import { z } from "zod";
import { variables } from "#hosts/aws/environment";

const shared = [
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
] as const;

/** What a deployment sets for the gateway, by the names of environment variables. */
const Environment = z
  .object(variables)
  .pick(Object.fromEntries(shared.map((name) => [name, true])) as Record<(typeof shared)[number], true>)
  .extend({
    /** The DNS name under which clients find the gateway, and the port. */
    SKIFF_GATEWAY_NAME: z.string().min(1),
    SKIFF_PORT: z.coerce.number().int().min(0).max(65_535),
    /** Where ECS answers a task about itself; set by ECS. */
    ECS_CONTAINER_METADATA_URI_V4: z.url().optional(),
    /** Instead of STS's own host. */
    AWS_ENDPOINT_URL_STS: z.url().optional(),
  });

export type Environment = z.output<typeof Environment>;

/** Throws an Error with the name of a variable that the deployment left out or gave nonsense. */
export function readEnvironment(given: Readonly<Record<string, string | undefined>>): Environment {
  const read = Environment.safeParse(given);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new Error(`the environment variable ${String(issue?.path[0])}: ${issue?.message}`);
}
