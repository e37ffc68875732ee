import {
  Duration,
  aws_iam as iam,
  aws_lambda as lambda,
  aws_logs as logs,
  RemovalPolicy,
  type aws_sqs as sqs,
} from "aws-cdk-lib";
import type { Construct } from "constructs";
import type { Bundles } from "../bundle.ts";
import type { Config } from "../config.ts";
import { type FunctionName, functions, isAsynchronous, type Trigger } from "../functions.ts";
import { type Parts, partOf } from "../parts.ts";
import { consumeActions, type Permission, permissionsOf, tracing, writeLogs } from "../permissions.ts";
import { deadLetters } from "./queue.ts";
import { role } from "./role.ts";

export interface ClusterFunction {
  name: FunctionName;
  lambda: lambda.Function;
  /** Failed asynchronous calls. */
  dead?: sqs.Queue;
}

/** A function's name in AWS. */
export const functionNameOf = (cluster: string, name: FunctionName): string => `skiff-${cluster}-${name}`;

const idOf = (name: string): string => `${name[0]!.toUpperCase()}${name.slice(1)}`;

export interface FunctionOptions {
  config: Config;
  bundles: Bundles;
  parts: Parts;
  /** The queue for changes that the stream's function failed to process. */
  failures?: sqs.IQueue;
}

/**
 * A Lambda function with the defaults of this app: ARM64, Node 24, tracing, structured logs with a retention, its own
 * role with hand-written statements, the environment of its row, and a dead-letter queue if it is called
 * asynchronously.
 */
export function houseFunction(scope: Construct, name: FunctionName, options: FunctionOptions): ClusterFunction {
  const { config, bundles, parts } = options;
  const row = functions[name];
  const id = idOf(name);
  const functionName = functionNameOf(config.cluster, name);
  const logGroup = new logs.LogGroup(scope, `${id}Logs`, {
    logGroupName: `/aws/lambda/${functionName}`,
    retention: config.retention.functions,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const dead = isAsynchronous(name) ? deadLetters(scope, `${id}Dead`) : undefined;
  const may: Permission[] = [
    writeLogs(logGroup.logGroupArn),
    tracing,
    ...permissionsOf(row.may, parts),
    ...row.triggers.flatMap((trigger) => readsOf(trigger, options)),
    ...(dead ? [{ actions: ["sqs:SendMessage"], resources: [dead.queueArn] }] : []),
  ];
  const own = role(scope, `${id}Role`, {
    by: new iam.ServicePrincipal("lambda.amazonaws.com"),
    description: `Skiff ${config.cluster}: ${row.does}`,
    may,
  });
  const created = new lambda.Function(scope, id, {
    functionName,
    description: `Skiff ${config.cluster}: ${row.does}`,
    code: lambda.Code.fromAsset(bundles.functions[name]),
    handler: "index.handler",
    runtime: lambda.Runtime.NODEJS_24_X,
    architecture: lambda.Architecture.ARM_64,
    timeout: Duration.seconds(row.timeout),
    memorySize: config.memory[name] ?? row.memory,
    role: own.withoutPolicyUpdates(),
    environment: Object.fromEntries(row.environment.map((key) => [key, partOf(parts.environment, key)])),
    tracing: lambda.Tracing.ACTIVE,
    logGroup,
    loggingFormat: lambda.LoggingFormat.JSON,
    ...(row.loops ? { recursiveLoop: lambda.RecursiveLoop.ALLOW } : {}),
    ...(dead ? { deadLetterQueue: dead, retryAttempts: 1, maxEventAge: Duration.hours(1) } : {}),
  });
  return { name, lambda: created, ...(dead ? { dead } : {}) };
}

/** The permissions with which Lambda polls for a function. */
function readsOf(trigger: Trigger, { parts, failures }: FunctionOptions): Permission[] {
  if (trigger.on === "queue") {
    return [{ actions: consumeActions, resources: [partOf(parts.queues, trigger.queue).arn] }];
  }
  if (trigger.on !== "stream") return [];
  if (!failures) throw new Error("a stream needs a queue for failures");
  return [
    {
      actions: ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
      resources: [partOf(parts.arns, "changesStream")],
    },
    {
      actions: ["dynamodb:ListStreams"],
      resources: ["*"],
      because: "DynamoDB has no resource-level permissions for this action",
    },
    { actions: ["sqs:SendMessage"], resources: [failures.queueArn] },
  ];
}
