import { z } from "zod";
import { gatewayVariables, variables } from "#hosts/aws/environment";

/** What a deployment sets for the gateway, by the names of environment variables. */
const Environment = z
  .object(variables)
  .pick(
    Object.fromEntries(gatewayVariables.map((name) => [name, true])) as Record<(typeof gatewayVariables)[number], true>,
  )
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
