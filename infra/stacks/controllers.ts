import {
  aws_cloudwatch as cloudwatch,
  Duration,
  aws_events as events,
  aws_lambda as lambda,
  aws_logs as logs,
  RemovalPolicy,
  type Stack,
  aws_scheduler as scheduler,
  type aws_sqs as sqs,
  aws_stepfunctions as stepfunctions,
  aws_events_targets as targets,
} from "aws-cdk-lib";
import type { Construct } from "constructs";
import type { Bundles } from "../bundle.ts";
import type { Config } from "../config.ts";
import { acknowledge } from "../constructs/acknowledge.ts";
import { onEvents } from "../constructs/events.ts";
import { type ClusterFunction, houseFunction } from "../constructs/function.ts";
import { deadLetters } from "../constructs/queue.ts";
import { role, serviceInThisAccount } from "../constructs/role.ts";
import { type FunctionName, functionNames, functions, queueNames, type Trigger } from "../functions.ts";
import { type Parts, partOf } from "../parts.ts";
import { tracing } from "../permissions.ts";
import { waitDefinition } from "../wait.ts";

export interface Controllers {
  functions: ClusterFunction[];
  /** Changes that the stream's function could not process. */
  changesLost: cloudwatch.Alarm;
}

export interface ControllersOptions {
  config: Config;
  bundles: Bundles;
  parts: Parts;
}

/** The controllers: the stream, the queues' workers, the clock, and the waiting state machine. */
export function controllersStack(stack: Stack, options: ControllersOptions): Controllers {
  const { config, parts } = options;
  const failures = deadLetters(stack, "StreamFailures");
  acknowledge(failures, { SQS3: "it is the queue of discarded changes" });
  const wait = waiting(stack, config, parts);
  parts.arns.wait = wait.stateMachineArn;
  parts.environment.SKIFF_WAIT_ARN = wait.stateMachineArn;

  const mine = functionNames.filter((name) => functions[name].stack === "controllers");
  const created = mine.map((name) => houseFunction(stack, name, { ...options, failures }));
  for (const one of created) {
    for (const trigger of functions[one.name].triggers) connect(stack, one, trigger, { config, parts, failures });
    onEvents(stack, one, parts);
  }
  const tick = created.find(({ name }) => name === "tick");
  if (!tick) throw new Error("the clock's function is not among the controllers'");
  return { functions: created, changesLost: resyncWhenChangesAreLost(stack, config, tick, failures) };
}

interface Connections {
  config: Config;
  parts: Parts;
  failures: sqs.Queue;
}

function connect(scope: Construct, one: ClusterFunction, trigger: Trigger, { config, parts, failures }: Connections) {
  const functionName = one.lambda.functionName;
  if (trigger.on === "queue") {
    new lambda.CfnEventSourceMapping(scope, `${idOf(one.name)}FromQueue`, {
      functionName,
      eventSourceArn: partOf(parts.queues, trigger.queue).arn,
      batchSize: trigger.batch,
      // Polling a queue costs even if it is empty.
      enabled: trigger.queue !== "fargate" || config.fargate,
      functionResponseTypes: ["ReportBatchItemFailures"],
      scalingConfig: { maximumConcurrency: trigger.concurrency ?? config.concurrency },
    });
  }
  if (trigger.on === "stream") {
    new lambda.CfnEventSourceMapping(scope, `${idOf(one.name)}FromStream`, {
      functionName,
      eventSourceArn: partOf(parts.arns, "changesStream"),
      startingPosition: "TRIM_HORIZON",
      batchSize: trigger.batch,
      maximumRetryAttempts: trigger.retries,
      maximumRecordAgeInSeconds: trigger.age,
      bisectBatchOnFunctionError: true,
      destinationConfig: { onFailure: { destination: failures.queueArn } },
      filterCriteria: { filters: [{ pattern: JSON.stringify(trigger.filter) }] },
    });
  }
  if (trigger.on === "minute") everyMinute(scope, config, one, trigger);
}

const idOf = (name: FunctionName): string => `${name[0]!.toUpperCase()}${name.slice(1)}`;

function everyMinute(
  scope: Construct,
  { cluster }: Config,
  { lambda: target, dead }: ClusterFunction,
  { retries, age }: Extract<Trigger, { on: "minute" }>,
): void {
  if (!dead) throw new Error("the clock's function has no queue for failures");
  const own = role(scope, "MinuteRole", {
    by: serviceInThisAccount(scope, "scheduler.amazonaws.com"),
    description: `Skiff ${cluster}: the clock`,
    may: [
      { actions: ["lambda:InvokeFunction"], resources: [target.functionArn] },
      { actions: ["sqs:SendMessage"], resources: [dead.queueArn] },
    ],
  });
  new scheduler.CfnSchedule(scope, "Minute", {
    description: `Skiff ${cluster}: the clock`,
    scheduleExpression: "rate(1 minute)",
    flexibleTimeWindow: { mode: "OFF" },
    target: {
      arn: target.functionArn,
      roleArn: own.roleArn,
      input: JSON.stringify({ time: "<aws.scheduler.scheduled-time>" }),
      retryPolicy: { maximumRetryAttempts: retries, maximumEventAgeInSeconds: age },
      deadLetterConfig: { arn: dead.queueArn },
    },
  });
}

function waiting(scope: Stack, config: Config, { queues }: Parts): stepfunctions.StateMachine {
  const logGroup = new logs.LogGroup(scope, "WaitLogs", {
    // Step Functions may write to groups of this name without the account's policy of log delivery growing.
    logGroupName: `/aws/vendedlogs/states/skiff-${config.cluster}-wait`,
    retention: config.retention.functions,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const own = role(scope, "WaitRole", {
    by: serviceInThisAccount(scope, "states.amazonaws.com"),
    description: `Skiff ${config.cluster}: enqueues keys when they are due`,
    may: [
      { actions: ["sqs:SendMessage"], resources: queueNames.map((name) => partOf(queues, name).arn) },
      {
        actions: [
          "logs:CreateLogDelivery",
          "logs:DeleteLogDelivery",
          "logs:DescribeLogGroups",
          "logs:DescribeResourcePolicies",
          "logs:GetLogDelivery",
          "logs:ListLogDeliveries",
          "logs:PutResourcePolicy",
          "logs:UpdateLogDelivery",
        ],
        resources: ["*"],
        because: "CloudWatch Logs has no resource-level permissions for log deliveries",
      },
      { ...tracing, actions: [...tracing.actions, "xray:GetSamplingRules", "xray:GetSamplingTargets"] },
    ],
  });
  const machine = new stepfunctions.StateMachine(scope, "Wait", {
    stateMachineType: stepfunctions.StateMachineType.STANDARD,
    definitionBody: stepfunctions.DefinitionBody.fromString(JSON.stringify(waitDefinition(scope.partition))),
    role: own.withoutPolicyUpdates(),
    tracingEnabled: true,
    logs: { destination: logGroup, level: stepfunctions.LogLevel.ERROR, includeExecutionData: false },
  });
  acknowledge(machine, { SF1: "executions are many and their input holds keys of objects: only errors are logged" });
  return machine;
}

/** Lost changes are found again: the alarm on their queue invokes the tick with a resync. */
function resyncWhenChangesAreLost(
  scope: Construct,
  { cluster }: Config,
  tick: ClusterFunction,
  failures: sqs.Queue,
): cloudwatch.Alarm {
  const alarm = new cloudwatch.Alarm(scope, "ChangesLost", {
    alarmName: `skiff-${cluster}-changes-lost`,
    alarmDescription: "The stream's function discarded changes; the tick enqueues every key.",
    metric: failures.metricApproximateNumberOfMessagesVisible({ period: Duration.minutes(1), statistic: "Maximum" }),
    threshold: 1,
    evaluationPeriods: 1,
    comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
  });
  new events.Rule(scope, "Resync", {
    description: "Wakes tick",
    eventPattern: {
      source: ["aws.cloudwatch"],
      detailType: ["CloudWatch Alarm State Change"],
      resources: [alarm.alarmArn],
      detail: { state: { value: ["ALARM"] } },
    },
    targets: [
      new targets.LambdaFunction(tick.lambda, {
        event: events.RuleTargetInput.fromObject({ resync: true }),
        retryAttempts: 3,
        maxEventAge: Duration.hours(1),
        ...(tick.dead ? { deadLetterQueue: tick.dead } : {}),
      }),
    ],
  });
  return alarm;
}
