import { expect, test } from "vitest";
import { bill, fixedCosts, sum, times, usageOf } from "./index.ts";

const idle = { agents: 3, requests: 0, writes: 0, rollouts: 0, stored: 0.01 };
/** The resources of the default deployment that cost something while idle. */
const templates = [
  {
    Resources: {
      reconcile: { Type: "AWS::Lambda::EventSourceMapping", Properties: { ScalingConfig: { MaximumConcurrency: 10 } } },
      schedule: { Type: "AWS::Lambda::EventSourceMapping", Properties: { ScalingConfig: { MaximumConcurrency: 2 } } },
      fargate: {
        Type: "AWS::Lambda::EventSourceMapping",
        Properties: { ScalingConfig: { MaximumConcurrency: 10 }, Enabled: false },
      },
      stream: { Type: "AWS::Lambda::EventSourceMapping", Properties: { StartingPosition: "TRIM_HORIZON" } },
      minute: { Type: "AWS::Scheduler::Schedule" },
      secret: { Type: "AWS::SecretsManager::Secret" },
      changesLost: { Type: "AWS::CloudWatch::Alarm", Properties: {} },
    },
  },
];

test("counts the polled queues, secrets, alarms and the clock of the template", () => {
  expect(fixedCosts(templates)).toEqual({
    fifoRequests: 2 * 15 * 43_800,
    schedules: 43_800,
    secrets: 1,
    keys: 0,
    alarmMetrics: 1,
    compositeAlarms: 0,
    dashboards: 0,
  });
});

test("a gateway is a task, a load balancer, and an address for each of its ends", () => {
  const gateway = {
    Resources: {
      task: { Type: "AWS::ECS::TaskDefinition", Properties: { Cpu: "256", Memory: "512" } },
      service: {
        Type: "AWS::ECS::Service",
        Properties: {
          LaunchType: "FARGATE",
          DesiredCount: 1,
          TaskDefinition: { Ref: "task" },
          NetworkConfiguration: { AwsvpcConfiguration: { AssignPublicIp: "ENABLED" } },
        },
      },
      // It runs on instances, which are the user's own.
      agents: { Type: "AWS::ECS::Service", Properties: { LaunchType: "EC2", TaskDefinition: { Ref: "task" } } },
      balancer: {
        Type: "AWS::ElasticLoadBalancingV2::LoadBalancer",
        Properties: { Type: "network", Scheme: "internet-facing", Subnets: ["a", "b"] },
      },
    },
  };
  const more = fixedCosts([gateway]);
  expect(more).toMatchObject({ fargateVcpuHours: 182.5, fargateGbHours: 365, balancerHours: 730, addressHours: 2190 });
  const dollars = bill(more, { freeTier: false }).dollars;
  expect(dollars).toBeCloseTo(5.91 + 1.3 + 16.43 + 10.95, 1);
  expect(bill(more, { freeTier: true }).dollars).toBe(dollars);
});

test("an alarm over an expression costs as much as its metrics", () => {
  const Metrics = [{ Expression: "SUM(METRICS())" }, { MetricStat: {} }, { MetricStat: {} }];
  const Resources = { one: { Type: "AWS::CloudWatch::Alarm", Properties: { Metrics } } };
  expect(fixedCosts([{ Resources }]).alarmMetrics).toBe(2);
});

test("an idle cluster with three agents costs less than 1.80 dollars at list price, and less again with the free tier", () => {
  const usage = sum(fixedCosts(templates), usageOf(idle));
  const [list, free] = [bill(usage, { freeTier: false }), bill(usage, { freeTier: true })];
  expect(list.dollars).toBeLessThanOrEqual(1.8);
  expect(free.dollars).toBeLessThan(list.dollars);
  expect(list.lines[0]!.dollars).toBeGreaterThanOrEqual(list.lines[1]!.dollars);
});

test("a million requests with 200,000 writes, 2,000 of them rollouts, stay below ten dollars", () => {
  const load = { agents: 3, requests: 1e6, writes: 200_000, rollouts: 2000, stored: 1 };
  expect(bill(sum(fixedCosts(templates), usageOf(load)), { freeTier: false }).dollars).toBeLessThanOrEqual(10);
});

test("usage adds up and is priced by the unit", () => {
  expect(sum({ apiRequests: 1 }, { apiRequests: 2, secrets: 1 })).toEqual({ apiRequests: 3, secrets: 1 });
  expect(times({ readUnits: 2 }, 3)).toEqual({ readUnits: 6 });
  expect(bill({ apiRequests: 2e6 }, { freeTier: true }).dollars).toBe(7);
  expect(bill({ fifoRequests: 2e6 }, { freeTier: true }).dollars).toBe(0.5);
  expect(bill({ fifoRequests: 0.5e6 }, { freeTier: true }).dollars).toBe(0);
});
