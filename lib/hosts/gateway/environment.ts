import { z } from "zod";
import { gatewayVariables, variables } from "#hosts/aws/environment";

/** The gateway's environment variables. */
const Environment = z
  .object(variables)
  .pick(
    Object.fromEntries(gatewayVariables.map((name) => [name, true])) as Record<(typeof gatewayVariables)[number], true>,
  )
  .extend({
    /** The gateway's DNS name for clients, and its port. */
    SKIFF_GATEWAY_NAME: z.string().min(1),
    SKIFF_PORT: z.coerce.number().int().min(0).max(65_535),
    /** ECS's metadata endpoint of the task; set by ECS. */
    ECS_CONTAINER_METADATA_URI_V4: z.url().optional(),
    /** Replaces the endpoint of STS. */
    AWS_ENDPOINT_URL_STS: z.url().optional(),
  });

export type Environment = z.output<typeof Environment>;

/** Throws an Error with the name of a variable that is missing or malformed. */
export function readEnvironment(given: Readonly<Record<string, string | undefined>>): Environment {
  const read = Environment.safeParse(given);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new Error(`the environment variable ${String(issue?.path[0])}: ${issue?.message}`);
}
