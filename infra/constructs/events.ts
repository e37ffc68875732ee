import { Duration, aws_events as events, aws_events_targets as targets } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { functions } from "../functions.ts";
import { type Parts, partOf } from "../parts.ts";
import type { ClusterFunction } from "./function.ts";

const retried = { retryAttempts: 3, maxEventAge: Duration.hours(1) };

/** The EventBridge rules of a function's row. Undeliverable events go to the function's dead letters. */
export function onEvents(scope: Construct, { name, lambda, dead }: ClusterFunction, parts: Parts): void {
  for (const trigger of functions[name].triggers) {
    if (trigger.on !== "event") continue;
    const { source, "detail-type": detailType, detail } = trigger.pattern;
    const narrowed = trigger.narrow ? { clusterArn: [partOf(parts.arns, "ecsCluster")] } : {};
    const filter = { ...detail, ...narrowed };
    new events.Rule(scope, trigger.name, {
      description: `Wakes ${name}`,
      eventPattern: { source, detailType, ...(Object.keys(filter).length > 0 ? { detail: filter } : {}) },
      targets: [new targets.LambdaFunction(lambda, { ...retried, ...(dead ? { deadLetterQueue: dead } : {}) })],
    });
  }
}
