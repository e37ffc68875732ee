import type { EnvironmentName, QueueName } from "./functions.ts";

/** What the stacks have made so far, as names and ARNs (CDK's tokens); each stack adds what it makes. */
export interface Parts {
  /** Values for the functions' environment. */
  environment: Partial<Record<EnvironmentName, string>>;
  arns: Partial<Record<PartName, string>>;
  queues: Partial<Record<QueueName, { arn: string; url: string; dead: { arn: string; url: string } }>>;
}

export type PartName =
  | "objects"
  | "changes"
  | "changesStream"
  | "signingSecret"
  | "oidcBucket"
  | "podLogs"
  | "connections"
  | "cutOffs"
  | "wait"
  | "ecsCluster"
  /** Everything that a family of task definitions of this cluster may be called. */
  | "taskFamilies"
  | "tasks"
  | "taskExecutionRole"
  | "vpc"
  /** One or several, with commas between; none where routes are somebody else's. */
  | "routeTables"
  /** Everything of its type in this account and region; tags say which are the cluster's. */
  | "instances"
  | "securityGroups"
  | "loadBalancers"
  | "listeners"
  | "targetGroups"
  /** The role as which load balancers work; AWS makes it for an account's first. */
  | "balancersRole";

export const noParts = (): Parts => ({ environment: {}, arns: {}, queues: {} });

/** Throws an Error when the stacks are put together in an order in which this is not there yet. */
export function partOf<Name extends string, Value>(from: Partial<Record<Name, Value>>, name: Name): Value {
  const value = from[name];
  if (value === undefined) throw new Error(`${name} is asked for before it is made`);
  return value;
}
