import type { Usage } from "./prices.ts";

/** The part of a CloudFormation template that is looked at. */
export interface Template {
  Resources: Record<string, { Type: string; Properties?: Record<string, unknown> }>;
}

const minutesAMonth = 730 * 60;
/** Lambda reads a queue with five pollers that wait 20 s each, for as long as it is wired. */
const receivesAMinute = 15;

/** What a deployment costs in a month in which nothing happens, read from its templates. */
export function standing(templates: readonly Template[]): Usage {
  const resources = templates.flatMap(({ Resources }) => Object.values(Resources));
  const of = (type: string) => resources.filter(({ Type }) => Type === type).map(({ Properties = {} }) => Properties);
  const queueReaders = of("AWS::Lambda::EventSourceMapping").filter(
    ({ Enabled, ScalingConfig }) => Enabled !== false && ScalingConfig !== undefined,
  );
  return {
    fifoRequests: queueReaders.length * receivesAMinute * minutesAMonth,
    schedules: of("AWS::Scheduler::Schedule").length * minutesAMonth,
    secrets: of("AWS::SecretsManager::Secret").length,
    keys: of("AWS::KMS::Key").length,
    alarmMetrics: of("AWS::CloudWatch::Alarm").reduce((total, alarm) => total + metricsOf(alarm), 0),
    compositeAlarms: of("AWS::CloudWatch::CompositeAlarm").length,
    dashboards: of("AWS::CloudWatch::Dashboard").length,
  };
}

/** A metric that an expression makes of others is not charged; those that it is made of are. */
function metricsOf(alarm: Record<string, unknown>): number {
  const metrics = alarm["Metrics"] as { MetricStat?: unknown }[] | undefined;
  return metrics ? metrics.filter(({ MetricStat }) => MetricStat !== undefined).length : 1;
}
