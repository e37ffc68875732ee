import {
  aws_cloudwatch_actions as actions,
  aws_cloudwatch as cloudwatch,
  Duration,
  aws_iam as iam,
  type Stack,
  aws_sns as sns,
  aws_sqs as sqs,
  aws_sns_subscriptions as subscriptions,
} from "aws-cdk-lib";
import type { Config } from "../config.ts";
import type { ClusterFunction } from "../constructs/function.ts";
import { serviceInThisAccount } from "../constructs/role.ts";
import { queueNames } from "../functions.ts";
import { type Parts, partOf } from "../parts.ts";
import type { Api } from "./api.ts";
import type { Controllers } from "./controllers.ts";

export interface AlarmsOptions {
  config: Config;
  parts: Parts;
  api: Api;
  controllers: Controllers;
}

const minute = Duration.minutes(1);
const five = Duration.minutes(5);
const { GREATER_THAN_OR_EQUAL_TO_THRESHOLD: atLeast, LESS_THAN_THRESHOLD: below } = cloudwatch.ComparisonOperator;
const { NOT_BREACHING: fine, BREACHING: bad } = cloudwatch.TreatMissingData;

/**
 * Alarms. `few`: the clock stopped, and a key was given up. `all`: also two composite alarms (requests fail; work is
 * lost or stopped), and a dashboard. Each metric of an alarm costs a dime a month, each composite alarm half a dollar,
 * the dashboard three.
 */
export function alarmsStack(stack: Stack, { config, parts, api, controllers }: AlarmsOptions): void {
  const topic = new sns.Topic(stack, "Topic", { displayName: `Skiff ${config.cluster}`, enforceSSL: true });
  // A topic's own policy replaces the default that lets the account publish.
  topic.addToResourcePolicy(
    new iam.PolicyStatement({
      principals: [serviceInThisAccount(stack, "cloudwatch.amazonaws.com")],
      actions: ["sns:Publish"],
      resources: [topic.topicArn],
    }),
  );
  if (config.alarms.email !== undefined)
    topic.addSubscription(new subscriptions.EmailSubscription(config.alarms.email));
  const all = [...api.functions, ...controllers.functions];
  if (config.alarms.level === "few") {
    for (const alarm of fewAlarms(stack, all, parts)) {
      alarm.addAlarmAction(new actions.SnsAction(topic));
      alarm.addOkAction(new actions.SnsAction(topic));
    }
    return;
  }
  const work = workAlarms(stack, all, parts, controllers);
  const requests = requestAlarms(stack, api);
  for (const [id, alarms, description] of [
    ["Work", work, "Work was given up or has stopped: check the dead letters, then the functions' logs."],
    ["Requests", requests, "Requests fail or are throttled: check the log of the function api."],
  ] as const) {
    const composite = new cloudwatch.CompositeAlarm(stack, id, {
      compositeAlarmName: `skiff-${config.cluster}-${id.toLowerCase()}`,
      alarmDescription: description,
      alarmRule: cloudwatch.AlarmRule.anyOf(...alarms),
    });
    composite.addAlarmAction(new actions.SnsAction(topic));
    composite.addOkAction(new actions.SnsAction(topic));
  }
  dashboard(stack, config, all, api);
}

/** Besides the alarm that makes the clock enqueue everything when changes were lost. */
function fewAlarms(stack: Stack, all: ClusterFunction[], parts: Parts): cloudwatch.Alarm[] {
  const dead = sqs.Queue.fromQueueArn(stack, "DeadKeys", partOf(parts.queues, "reconcile").dead.arn);
  const given = new cloudwatch.Alarm(stack, "DeadLetters", {
    metric: dead.metricApproximateNumberOfMessagesVisible({ period: five, statistic: "Maximum" }),
    threshold: 1,
    evaluationPeriods: 2,
    comparisonOperator: atLeast,
    treatMissingData: fine,
  });
  return [given, stoppedClock(stack, all)];
}

const stoppedClock = (stack: Stack, all: ClusterFunction[]): cloudwatch.Alarm =>
  new cloudwatch.Alarm(stack, "StoppedClock", {
    metric: all.find(({ name }) => name === "tick")!.lambda.metricInvocations({ period: five }),
    threshold: 1,
    evaluationPeriods: 2,
    comparisonOperator: below,
    treatMissingData: bad,
  });

/** The dead letters of all queues in one sum. */
function workAlarms(
  stack: Stack,
  all: ClusterFunction[],
  parts: Parts,
  { changesLost }: Controllers,
): cloudwatch.Alarm[] {
  const keys = queueNames.map((name) =>
    sqs.Queue.fromQueueArn(stack, `${name}Dead`, partOf(parts.queues, name).dead.arn),
  );
  const dead = [...keys, ...all.flatMap((one) => (one.dead ? [one.dead] : []))];
  const usingMetrics = Object.fromEntries(
    dead.map((queue, index) => [
      `q${index}`,
      queue.metricApproximateNumberOfMessagesVisible({ period: five, statistic: "Maximum" }),
    ]),
  );
  const given = new cloudwatch.MathExpression({
    expression: `SUM([${Object.keys(usingMetrics).join(",")}])`,
    usingMetrics,
    period: five,
    label: "dead letters",
  });
  const one = (name: string) => all.find((each) => each.name === name)!.lambda;
  const age = one("stream").metric("IteratorAge", { period: minute, statistic: "Maximum" });
  return [
    changesLost,
    new cloudwatch.Alarm(stack, "DeadLetters", {
      metric: given,
      threshold: 1,
      evaluationPeriods: 1,
      comparisonOperator: atLeast,
      treatMissingData: fine,
    }),
    new cloudwatch.Alarm(stack, "LateChanges", {
      metric: age,
      threshold: 60_000,
      evaluationPeriods: 5,
      comparisonOperator: atLeast,
      treatMissingData: fine,
    }),
    stoppedClock(stack, all),
  ];
}

function requestAlarms(stack: Stack, api: Api): cloudwatch.Alarm[] {
  const one = api.functions.find(({ name }) => name === "api")!.lambda;
  const alarm = (id: string, metric: cloudwatch.IMetric, threshold: number) =>
    new cloudwatch.Alarm(stack, id, {
      metric,
      threshold,
      evaluationPeriods: 3,
      comparisonOperator: atLeast,
      treatMissingData: fine,
    });
  return [
    alarm("ServerErrors", api.rest.metricServerError({ period: five, statistic: "Sum" }), 5),
    alarm("TurnedAway", one.metricThrottles({ period: five }), 5),
  ];
}

function dashboard(stack: Stack, config: Config, all: ClusterFunction[], api: Api): void {
  const each = (metric: (one: ClusterFunction) => cloudwatch.IMetric) => all.map(metric);
  const graph = (title: string, left: cloudwatch.IMetric[]) => new cloudwatch.GraphWidget({ title, left, width: 12 });
  new cloudwatch.Dashboard(stack, "Dashboard", {
    dashboardName: `skiff-${config.cluster}`,
    widgets: [
      [
        graph("Requests", [api.rest.metricCount(), api.rest.metricClientError(), api.rest.metricServerError()]),
        graph("Latency", [api.rest.metricLatency({ statistic: "p50" }), api.rest.metricLatency({ statistic: "p99" })]),
      ],
      [
        graph(
          "Runs of functions",
          each(({ lambda, name }) => lambda.metricInvocations({ label: name })),
        ),
        graph(
          "Errors of functions",
          each(({ lambda, name }) => lambda.metricErrors({ label: name })),
        ),
      ],
      [
        graph(
          "Durations",
          each(({ lambda, name }) => lambda.metricDuration({ label: name, statistic: "p99" })),
        ),
        graph(
          "At once",
          each(({ lambda, name }) => lambda.metric("ConcurrentExecutions", { label: name, statistic: "Maximum" })),
        ),
      ],
    ],
  });
}
