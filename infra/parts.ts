import type { EnvironmentName, QueueName } from "./functions.ts";

/** What the stacks have created so far, as names and ARNs (CDK's tokens); each stack adds its own. */
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
  | "disconnects"
  | "wait"
  | "ecsCluster"
  /** The pattern of all families of task definitions of this cluster. */
  | "taskFamilies"
  | "tasks"
  | "taskExecutionRole"
  | "vpc"
  /** One or more, separated by commas; empty if the cluster does not manage routes. */
  | "routeTables"
  /** All of its type in this account and region; tags mark the cluster's. */
  | "instances"
  | "securityGroups"
  | "loadBalancers"
  | "listeners"
  | "targetGroups"
  /** The service-linked role of load balancers; AWS creates it with an account's first. */
  | "balancersRole";

export const noParts = (): Parts => ({ environment: {}, arns: {}, queues: {} });

/** Throws an Error when the stacks are created in an order in which this does not exist yet. */
export function partOf<Name extends string, Value>(from: Partial<Record<Name, Value>>, name: Name): Value {
  const value = from[name];
  if (value === undefined) throw new Error(`${name} is used before it is created`);
  return value;
}
