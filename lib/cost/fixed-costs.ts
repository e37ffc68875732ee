import { sum, times, type Usage } from "./prices.ts";

/** The used part of a CloudFormation template. */
export interface Template {
  Resources: Record<string, { Type: string; Properties?: Record<string, unknown> }>;
}

const hoursAMonth = 730;
const minutesAMonth = hoursAMonth * 60;
/** Lambda reads a queue with five pollers that wait 20 s each, for as long as it is wired. */
const receivesAMinute = 15;

/** The monthly cost of an idle deployment, read from its templates. */
export function fixedCosts(templates: readonly Template[]): Usage {
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
    ...sum(...templates.map(services)),
  };
}

/**
 * Services that run all the time, and their load balancers. Traffic through a load balancer is not included: it is
 * charged by the unit and does not matter below thousands of connections.
 */
function services({ Resources }: Template): Usage {
  const all = Object.values(Resources);
  const tasks = all.flatMap(({ Type, Properties = {} }): Usage[] => {
    if (Type !== "AWS::ECS::Service" || Properties["LaunchType"] !== "FARGATE") return [];
    const { DesiredCount = 1, TaskDefinition, NetworkConfiguration } = Properties as unknown as Service;
    const { Cpu = 0, Memory = 0 } = (Resources[TaskDefinition.Ref]?.Properties ?? {}) as {
      Cpu?: string;
      Memory?: string;
    };
    const isPublic = NetworkConfiguration?.AwsvpcConfiguration?.AssignPublicIp === "ENABLED";
    const hours = {
      fargateVcpuHours: Number(Cpu) / 1024,
      fargateGbHours: Number(Memory) / 1024,
      addressHours: isPublic ? 1 : 0,
    };
    return [times(hours, DesiredCount * hoursAMonth)];
  });
  const balancers = all.flatMap(({ Type, Properties = {} }): Usage[] => {
    if (Type !== "AWS::ElasticLoadBalancingV2::LoadBalancer") return [];
    // It has an address in each of its subnets.
    const addresses = Properties["Scheme"] === "internet-facing" ? (Properties["Subnets"] as unknown[]).length : 0;
    return [times({ balancerHours: 1, addressHours: addresses }, hoursAMonth)];
  });
  return sum(...tasks, ...balancers);
}

interface Service {
  DesiredCount?: number;
  TaskDefinition: { Ref: string };
  NetworkConfiguration?: { AwsvpcConfiguration?: { AssignPublicIp?: string } };
}

/** A metric that an expression computes is not charged; its operands are. */
function metricsOf(alarm: Record<string, unknown>): number {
  const metrics = alarm["Metrics"] as { MetricStat?: unknown }[] | undefined;
  return metrics ? metrics.filter(({ MetricStat }) => MetricStat !== undefined).length : 1;
}
