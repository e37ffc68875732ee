import type { Variable } from "#hosts/aws/environment";

/*
 * The Lambda functions of a cluster, as data: the purpose of each, its triggers, its environment, its permissions.
 * Every row has a folder `functions/<name>`; the stacks read this table and add nothing to it.
 */

export const queueNames = ["reconcile", "schedule", "fargate"] as const;
/** The FIFO queues of keys. Each has a dead-letter queue. */
export type QueueName = (typeof queueNames)[number];

/** A variable of a function's environment. The stacks create the values. */
export type EnvironmentName = Variable;

/** A permission of a function; `permissions.ts` maps it to IAM statements. */
export type Capability =
  | "store"
  | "send"
  | "wait"
  | "push"
  | "sign"
  | "makeSigningKey"
  | "publishIssuer"
  | "readPodLogs"
  | "rearm"
  | "runTasks"
  | "balance"
  | "route";

export interface EventPattern {
  source: string[];
  "detail-type": string[];
  detail?: Record<string, unknown>;
}

/** The trigger of a function. */
export type Trigger =
  /** Every method of the REST API, streamed. */
  | { on: "rest" }
  /** The WebSocket API's `$connect` (IAM), `$disconnect` and `$default`. */
  | { on: "webSocket" }
  /** The stream of `changes`. Ages are in seconds. */
  | { on: "stream"; batch: number; retries: number; age: number; filter: Record<string, unknown> }
  /** A queue; failures are reported one by one. `concurrency` defaults to that of the configuration. */
  | { on: "queue"; queue: QueueName; batch: number; concurrency?: number }
  /** The clock. */
  | { on: "minute"; retries: number; age: number }
  /** An EventBridge rule on the default bus; `ecs` narrows it to the cluster's own ECS cluster. */
  | { on: "event"; name: string; pattern: EventPattern; narrow?: "ecs" }
  /** CloudFormation, as a custom resource, once for each version. */
  | { on: "deployment" };

export interface FunctionRow {
  does: string;
  stack: "api" | "controllers";
  /** Seconds. */
  timeout: number;
  /** MB; the configuration may override it. */
  memory: number;
  /** The budget of its minified bundle, in bytes. */
  budget: number;
  triggers: Trigger[];
  environment: EnvironmentName[];
  may: Capability[];
  /** It wakes itself through a queue, which Lambda would stop as a loop after 16 rounds. */
  loops?: true;
}

const identity = ["SKIFF_CLUSTER", "SKIFF_CLUSTER_ID"] as const;
const tables = ["SKIFF_OBJECTS_TABLE", "SKIFF_CHANGES_TABLE"] as const;
const queues = ["SKIFF_RECONCILE_QUEUE_URL", "SKIFF_SCHEDULE_QUEUE_URL", "SKIFF_FARGATE_QUEUE_URL"] as const;
/**
 * A function that writes objects also enqueues the keys that they concern, and may have to assign a service its
 * address.
 */
const writer = [...identity, ...tables, ...queues, "SKIFF_SERVICE_CIDR", "SKIFF_POD_CIDR", "SKIFF_ENDPOINT"] as const;

/** An attribute of changes that wake other functions; stream filters match leaves only. */
const wakes = { eventName: ["INSERT"], dynamodb: { NewImage: { w: { N: [{ exists: true }] } } } };
const megabyte = 1024 * 1024;

const rows = {
  api: {
    does: "answers the Kubernetes API",
    stack: "api",
    timeout: 900,
    // The least with which a cold start answers within 600 ms, on a busy machine too (`npm run bench -- functions`).
    memory: 1024,
    budget: 2 * megabyte,
    triggers: [{ on: "rest" }],
    environment: [
      ...writer,
      "SKIFF_LINK_URL",
      "SKIFF_ADMINISTRATOR",
      "SKIFF_NODE_ROLES",
      "SKIFF_SIGNING_SECRET_ARN",
      "SKIFF_ISSUER",
      "SKIFF_POD_LOG_GROUP",
      "SKIFF_WATCHES",
      "SKIFF_DELIVERY",
    ],
    may: ["store", "send", "push", "sign", "readPodLogs"],
  },
  link: {
    does: "holds the agents' connections, passes frames between agents and clients, processes instances that end",
    stack: "api",
    timeout: 29,
    memory: 512,
    budget: 2 * megabyte,
    triggers: [
      { on: "webSocket" },
      {
        on: "event",
        name: "InstanceState",
        // An instance's event carries its id and no tag of the cluster: the function looks up the node.
        pattern: {
          source: ["aws.ec2"],
          "detail-type": ["EC2 Instance State-change Notification"],
          detail: { state: ["shutting-down", "stopping", "stopped", "terminated"] },
        },
      },
      {
        on: "event",
        name: "SpotInterruption",
        pattern: { source: ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"] },
      },
    ],
    environment: [...writer, "SKIFF_LINK_URL", "SKIFF_NODE_ROLES"],
    may: ["store", "send", "push"],
  },
  bootstrap: {
    does: "creates the objects of every cluster, and publishes its issuer",
    stack: "api",
    timeout: 300,
    memory: 512,
    budget: 2 * megabyte,
    triggers: [{ on: "deployment" }],
    environment: [
      ...writer,
      "SKIFF_ADMINISTRATOR",
      "SKIFF_NODE_ROLES",
      "SKIFF_SIGNING_SECRET_ARN",
      "SKIFF_ISSUER",
      "SKIFF_OIDC_BUCKET",
    ],
    may: ["store", "send", "makeSigningKey", "publishIssuer"],
  },
  stream: {
    does: "enqueues the keys that changes concern, and notifies agents",
    stack: "controllers",
    timeout: 60,
    memory: 512,
    budget: 2 * megabyte,
    triggers: [{ on: "stream", batch: 100, retries: 10, age: 3600, filter: wakes }],
    environment: [...writer, "SKIFF_LINK_URL"],
    may: ["store", "send", "push"],
  },
  reconcile: {
    does: "runs the controllers",
    stack: "controllers",
    timeout: 60,
    memory: 512,
    budget: 2 * megabyte,
    triggers: [{ on: "queue", queue: "reconcile", batch: 10 }],
    environment: [
      ...writer,
      "SKIFF_WAIT_ARN",
      "SKIFF_VPC",
      "SKIFF_SUBNETS",
      "SKIFF_ROUTE_TABLES",
      "SKIFF_BALANCER_SECURITY_GROUP",
    ],
    may: ["store", "send", "wait", "balance", "route"],
    loops: true,
  },
  schedule: {
    does: "binds pods to nodes",
    stack: "controllers",
    timeout: 60,
    memory: 1024,
    budget: 2 * megabyte,
    // One message group, so one at a time; two is Lambda's minimum.
    triggers: [{ on: "queue", queue: "schedule", batch: 10, concurrency: 2 }],
    environment: [...writer, "SKIFF_WAIT_ARN"],
    may: ["store", "send", "wait"],
    loops: true,
  },
  tick: {
    does: "runs due work, each minute",
    stack: "controllers",
    timeout: 55,
    memory: 512,
    budget: 2 * megabyte,
    triggers: [{ on: "minute", retries: 1, age: 60 }],
    environment: [
      ...writer,
      "SKIFF_RECONCILE_DEAD_LETTER_QUEUE_URL",
      "SKIFF_SCHEDULE_DEAD_LETTER_QUEUE_URL",
      "SKIFF_FARGATE_DEAD_LETTER_QUEUE_URL",
      "SKIFF_SIGNING_SECRET_ARN",
      "SKIFF_ISSUER",
      "SKIFF_OIDC_BUCKET",
    ],
    may: ["store", "send", "rearm", "makeSigningKey", "publishIssuer"],
  },
  fargate: {
    does: "is the kubelet of pods that run as Fargate tasks",
    stack: "controllers",
    timeout: 60,
    memory: 512,
    budget: 2 * megabyte,
    triggers: [
      { on: "queue", queue: "fargate", batch: 10 },
      {
        on: "event",
        name: "TaskState",
        pattern: { source: ["aws.ecs"], "detail-type": ["ECS Task State Change"] },
        narrow: "ecs",
      },
    ],
    environment: [
      ...writer,
      "SKIFF_WAIT_ARN",
      "SKIFF_POD_LOG_GROUP",
      "SKIFF_ECS_CLUSTER",
      "SKIFF_SUBNETS",
      "SKIFF_SECURITY_GROUPS",
      "SKIFF_TASK_EXECUTION_ROLE",
    ],
    may: ["store", "send", "wait", "runTasks"],
    loops: true,
  },
} as const satisfies Record<string, FunctionRow>;

export type FunctionName = keyof typeof rows;
export const functions: Readonly<Record<FunctionName, FunctionRow>> = rows as unknown as Record<
  FunctionName,
  FunctionRow
>;
export const functionNames = Object.keys(rows) as FunctionName[];

/** Whether the function is called asynchronously: its failed calls then go to a queue of its own. */
export const isAsynchronous = (name: FunctionName): boolean =>
  functions[name].triggers.some(({ on }) => on === "minute" || on === "event" || on === "deployment");

/** Seconds for which a received message is hidden: more than six times its function's timeout. */
export function visibilityOf(queue: QueueName): number {
  const consumer = functionNames.find((name) =>
    functions[name].triggers.some((trigger) => trigger.on === "queue" && trigger.queue === queue),
  );
  if (!consumer) throw new Error(`no function reads the queue ${queue}`);
  return functions[consumer].timeout * 6 + 30;
}
