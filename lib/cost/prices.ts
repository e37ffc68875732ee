/** A price list: dollars for a unit, and the free units of each month in every account. */
export interface Price {
  /** The charged item, in AWS's terms. */
  what: string;
  dollars: number;
  /** Units that the dollars buy. */
  per: number;
  /** Free units a month, while the free tier lasts. */
  free?: number;
}

/** us-east-1, on demand, November 2026. */
export const prices = {
  lambdaRequests: { what: "Lambda requests", dollars: 0.2, per: 1e6, free: 1e6 },
  lambdaGbSeconds: { what: "Lambda duration, ARM", dollars: 0.0000133334, per: 1, free: 400_000 },
  apiRequests: { what: "API Gateway REST requests", dollars: 3.5, per: 1e6 },
  socketMessages: { what: "API Gateway WebSocket messages", dollars: 1, per: 1e6 },
  socketMinutes: { what: "API Gateway WebSocket connection minutes", dollars: 0.25, per: 1e6 },
  writeUnits: { what: "DynamoDB write request units", dollars: 0.625, per: 1e6 },
  readUnits: { what: "DynamoDB read request units", dollars: 0.125, per: 1e6 },
  storedGb: { what: "DynamoDB storage, GB-month", dollars: 0.25, per: 1, free: 25 },
  recoverableGb: { what: "DynamoDB point-in-time recovery, GB-month", dollars: 0.2, per: 1 },
  fifoRequests: { what: "SQS FIFO requests", dollars: 0.5, per: 1e6, free: 1e6 },
  transitions: { what: "Step Functions state transitions", dollars: 25, per: 1e6, free: 4000 },
  schedules: { what: "EventBridge Scheduler invocations", dollars: 1, per: 1e6, free: 14e6 },
  secrets: { what: "Secrets Manager secrets", dollars: 0.4, per: 1 },
  secretCalls: { what: "Secrets Manager calls", dollars: 0.05, per: 10_000 },
  keys: { what: "KMS customer keys", dollars: 1, per: 1 },
  alarmMetrics: { what: "CloudWatch alarm metrics", dollars: 0.1, per: 1, free: 10 },
  compositeAlarms: { what: "CloudWatch composite alarms", dollars: 0.5, per: 1 },
  dashboards: { what: "CloudWatch dashboards", dollars: 3, per: 1, free: 3 },
  fargateVcpuHours: { what: "Fargate vCPU hours, ARM", dollars: 0.03238, per: 1 },
  fargateGbHours: { what: "Fargate memory, GB hours, ARM", dollars: 0.00356, per: 1 },
  balancerHours: { what: "Network Load Balancer hours", dollars: 0.0225, per: 1 },
  addressHours: { what: "public IPv4 address hours", dollars: 0.005, per: 1 },
  logGb: { what: "CloudWatch Logs, GB taken in", dollars: 0.5, per: 1, free: 5 },
} as const satisfies Record<string, Price>;

/** A charged item. */
export type Item = keyof typeof prices;

/** A number of units of an item. */
export type Usage = Partial<Record<Item, number>>;

/** All of several usages. */
export function sum(...usages: readonly Usage[]): Usage {
  const total: Usage = {};
  for (const usage of usages) {
    for (const [item, units] of Object.entries(usage)) total[item as Item] = (total[item as Item] ?? 0) + units;
  }
  return total;
}

/** A usage so many times. */
export const times = (usage: Usage, count: number): Usage =>
  Object.fromEntries(Object.entries(usage).map(([item, units]) => [item, units * count]));
