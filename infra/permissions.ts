import type { Capability } from "./functions.ts";
import { type Parts, partOf } from "./parts.ts";

/** An Allow of a policy, by hand. A resource with a wildcard says why it cannot be named. */
export interface Permission {
  actions: string[];
  resources: string[];
  conditions?: Record<string, Record<string, string>>;
  /** Why a resource has a `*`. */
  because?: string;
}

/** What the store's driver calls; a transaction needs the permissions of its parts. */
const tableActions = [
  "dynamodb:BatchGetItem",
  "dynamodb:ConditionCheckItem",
  "dynamodb:DeleteItem",
  "dynamodb:GetItem",
  "dynamodb:PutItem",
  "dynamodb:Query",
  "dynamodb:Scan",
  "dynamodb:UpdateItem",
];

export const consumeActions = [
  "sqs:ChangeMessageVisibility",
  "sqs:DeleteMessage",
  "sqs:GetQueueAttributes",
  "sqs:ReceiveMessage",
];

/** What OIDC discovery consists of; nothing else in the bucket is written or public. */
export const discoveryDocuments = [".well-known/openid-configuration", "openid/v1/jwks"];

const arnOf = (parts: Parts, name: Parameters<typeof partOf<keyof Parts["arns"], string>>[1]) =>
  partOf(parts.arns, name);

const capabilities: Record<Capability, (parts: Parts) => Permission[]> = {
  store: (parts) => [{ actions: tableActions, resources: [arnOf(parts, "objects"), arnOf(parts, "changes")] }],
  send: ({ queues }) => [
    {
      actions: ["sqs:SendMessage"],
      resources: [partOf(queues, "reconcile").arn, partOf(queues, "schedule").arn, partOf(queues, "fargate").arn],
    },
  ],
  wait: (parts) => [{ actions: ["states:StartExecution"], resources: [arnOf(parts, "wait")] }],
  push: (parts) => [
    {
      actions: ["execute-api:ManageConnections"],
      resources: [arnOf(parts, "connections")],
      because: "connections come and go; what is before the wildcard is this cluster's stage",
    },
  ],
  sign: (parts) => [{ actions: ["secretsmanager:GetSecretValue"], resources: [arnOf(parts, "signingSecret")] }],
  makeSigningKey: (parts) => [
    {
      actions: ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"],
      resources: [arnOf(parts, "signingSecret")],
    },
  ],
  publishIssuer: (parts) => [
    {
      actions: ["s3:DeleteObject", "s3:PutObject"],
      resources: discoveryDocuments.map((key) => `${arnOf(parts, "oidcBucket")}/${key}`),
    },
  ],
  readPodLogs: (parts) => [
    {
      actions: ["logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"],
      resources: [`${arnOf(parts, "podLogs")}:*`],
      because: "a container has a log stream of its own; what is before the wildcard is this cluster's log group",
    },
  ],
  rearm: ({ queues }) => [{ actions: consumeActions, resources: [partOf(queues, "reconcile").dead.arn] }],
  runTasks: (parts) => {
    const cluster = { ArnEquals: { "ecs:cluster": arnOf(parts, "ecsCluster") } };
    return [
      {
        actions: ["ecs:RegisterTaskDefinition"],
        resources: [arnOf(parts, "taskFamilies")],
        because: "families are named after what is in the pod; what is before the wildcard is this cluster's prefix",
      },
      {
        actions: ["ecs:DescribeTaskDefinition", "ecs:DeregisterTaskDefinition"],
        resources: ["*"],
        because: "ECS knows no resource for these actions",
      },
      {
        actions: ["ecs:RunTask"],
        resources: [arnOf(parts, "taskFamilies")],
        conditions: cluster,
        because: "families are named after what is in the pod; what is before the wildcard is this cluster's prefix",
      },
      {
        actions: ["ecs:DescribeTasks", "ecs:StopTask", "ecs:TagResource"],
        resources: [arnOf(parts, "tasks")],
        conditions: cluster,
        because: "tasks get their ids from ECS; what is before the wildcard is this cluster's ECS cluster",
      },
      {
        actions: ["iam:PassRole"],
        resources: [arnOf(parts, "taskExecutionRole")],
        conditions: { StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" } },
      },
    ];
  },
};

/** The statements of what a function may do. Throws when something that it names is not made yet. */
export const permissionsOf = (may: readonly Capability[], parts: Parts): Permission[] =>
  may.flatMap((capability) => capabilities[capability](parts));

/** What every traced function needs. */
export const tracing: Permission = {
  actions: ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
  resources: ["*"],
  because: "X-Ray knows no resource for these actions",
};

export const writeLogs = (logGroupArn: string): Permission => ({
  actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
  resources: [logGroupArn],
  because: "log streams are made by whoever writes; what is before the wildcard is one log group",
});

export const pullImages = (repositories: string): Permission[] => [
  {
    actions: ["ecr:GetAuthorizationToken"],
    resources: ["*"],
    because: "ECR knows no resource for this action",
  },
  {
    actions: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    resources: [repositories],
    because: "pods name any image of this account and region",
  },
];
