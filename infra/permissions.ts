import { type Capability, queueNames } from "./functions.ts";
import { type Parts, partOf } from "./parts.ts";

/** An Allow statement of a policy. A resource with a wildcard has a reason. */
export interface Permission {
  actions: string[];
  resources: string[];
  conditions?: Record<string, Record<string, string | string[]>>;
  /** The reason for a `*` in a resource. */
  because?: string;
}

/** The calls of the store's driver; a transaction needs the permissions of its parts. */
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

/** The documents of OIDC discovery; nothing else in the bucket is written or public. */
export const discoveryDocuments = [".well-known/openid-configuration", "openid/v1/jwks"];

const arnOf = (parts: Parts, name: Parameters<typeof partOf<keyof Parts["arns"], string>>[1]) =>
  partOf(parts.arns, name);

const tagged = "the condition requires the cluster's tags; AWS chooses the ids";
const noResource = "these read actions have no resource-level permissions";

/** Resources of this cluster's load balancers, existing or being created: the stacks' resources lack the second tag. */
const balancing = ({ environment }: Parts, tags: "ResourceTag" | "RequestTag") => ({
  StringEquals: { [`aws:${tags}/skiff:cluster`]: partOf(environment, "SKIFF_CLUSTER") },
  Null: { [`aws:${tags}/skiff:balancer`]: "false" },
});

function balance(parts: Parts): Permission[] {
  const balancers = [arnOf(parts, "loadBalancers"), arnOf(parts, "targetGroups")];
  const all = [...balancers, arnOf(parts, "listeners")];
  const groups = [arnOf(parts, "securityGroups")];
  const elb = (...names: string[]) => names.map((name) => `elasticloadbalancing:${name}`);
  return [
    {
      actions: [
        ...elb("DescribeListeners", "DescribeLoadBalancerAttributes", "DescribeLoadBalancers", "DescribeTags"),
        ...elb("DescribeTargetGroupAttributes", "DescribeTargetGroups", "DescribeTargetHealth"),
        // ELB reads a load balancer's VPC and subnets with the permissions of its creator.
        ...["ec2:DescribeAccountAttributes", "ec2:DescribeAddresses", "ec2:DescribeInstances"],
        ...["ec2:DescribeInternetGateways", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"],
      ],
      resources: ["*"],
      because: noResource,
    },
    {
      actions: elb("CreateLoadBalancer", "CreateTargetGroup"),
      resources: balancers,
      conditions: balancing(parts, "RequestTag"),
      because: tagged,
    },
    {
      actions: elb("AddTags"),
      resources: all,
      conditions: {
        StringEquals: {
          "elasticloadbalancing:CreateAction": ["CreateListener", "CreateLoadBalancer", "CreateTargetGroup"],
        },
      },
      because: "only resources that are being created can be tagged; AWS assigns their ids",
    },
    {
      actions: [
        ...elb("CreateListener", "DeleteListener", "DeleteLoadBalancer", "DeleteTargetGroup", "DeregisterTargets"),
        ...elb("ModifyListener", "ModifyLoadBalancerAttributes", "ModifyTargetGroup", "ModifyTargetGroupAttributes"),
        ...elb("RegisterTargets", "SetSubnets"),
      ],
      resources: all,
      conditions: balancing(parts, "ResourceTag"),
      because: tagged,
    },
    {
      actions: ["iam:CreateServiceLinkedRole"],
      resources: [arnOf(parts, "balancersRole")],
      conditions: { StringEquals: { "iam:AWSServiceName": "elasticloadbalancing.amazonaws.com" } },
    },
    // ELB requires the second of the creator of a load balancer with security groups.
    { actions: ["ec2:CreateSecurityGroup", "ec2:GetSecurityGroupsForVpc"], resources: [arnOf(parts, "vpc")] },
    {
      actions: ["ec2:CreateSecurityGroup"],
      resources: groups,
      conditions: balancing(parts, "RequestTag"),
      because: tagged,
    },
    {
      actions: ["ec2:CreateTags"],
      resources: groups,
      conditions: { StringEquals: { "ec2:CreateAction": "CreateSecurityGroup" } },
      because: "only resources that are being created can be tagged; AWS assigns their ids",
    },
    {
      actions: ["ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup", "ec2:RevokeSecurityGroupIngress"],
      resources: groups,
      conditions: balancing(parts, "ResourceTag"),
      because: tagged,
    },
  ];
}

function route(parts: Parts): Permission[] {
  const tables = arnOf(parts, "routeTables")
    .split(",")
    .filter((arn) => arn !== "");
  if (tables.length === 0) return [];
  return [
    { actions: ["ec2:DescribeInstances", "ec2:DescribeRouteTables"], resources: ["*"], because: noResource },
    { actions: ["ec2:CreateRoute", "ec2:DeleteRoute", "ec2:ReplaceRoute"], resources: tables },
    {
      // Forwarding of pods' packets is an attribute of the instance; launch templates cannot set it.
      actions: ["ec2:ModifyInstanceAttribute"],
      resources: [arnOf(parts, "instances")],
      conditions: {
        StringEquals: { "aws:ResourceTag/skiff:cluster": partOf(parts.environment, "SKIFF_CLUSTER") },
      },
      because: tagged,
    },
  ];
}

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
      // An agent that cannot be notified is disconnected; the method of @connections is a part of the ARN.
      resources: [arnOf(parts, "connections"), arnOf(parts, "disconnects")],
      because: "connections have temporary ids; before the wildcard is this cluster's stage",
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
      because: "each container has its own log stream; before the wildcard is this cluster's log group",
    },
  ],
  rearm: ({ queues }) => [
    { actions: consumeActions, resources: queueNames.map((name) => partOf(queues, name).dead.arn) },
  ],
  runTasks: (parts) => {
    const cluster = { ArnEquals: { "ecs:cluster": arnOf(parts, "ecsCluster") } };
    return [
      {
        actions: ["ecs:RegisterTaskDefinition"],
        resources: [arnOf(parts, "taskFamilies")],
        because: "families are named by a hash of the pod's template; before the wildcard is this cluster's prefix",
      },
      {
        actions: ["ecs:DescribeTaskDefinition", "ecs:DeregisterTaskDefinition", "ecs:ListTaskDefinitionFamilies"],
        resources: ["*"],
        because: "ECS has no resource-level permissions for these actions",
      },
      {
        actions: ["ecs:RunTask"],
        resources: [arnOf(parts, "taskFamilies")],
        conditions: cluster,
        because: "families are named by a hash of the pod's template; before the wildcard is this cluster's prefix",
      },
      {
        actions: ["ecs:DescribeTasks", "ecs:StopTask", "ecs:TagResource"],
        resources: [arnOf(parts, "tasks")],
        conditions: cluster,
        because: "tasks get their ids from ECS; before the wildcard is this cluster's ECS cluster",
      },
      {
        actions: ["iam:PassRole"],
        resources: [arnOf(parts, "taskExecutionRole")],
        conditions: { StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" } },
      },
    ];
  },
  balance,
  route,
};

/** The statements of a function's permissions. Throws when a resource of one does not exist yet. */
export const permissionsOf = (may: readonly Capability[], parts: Parts): Permission[] =>
  may.flatMap((capability) => capabilities[capability](parts));

/** The permissions of every traced function. */
export const tracing: Permission = {
  actions: ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
  resources: ["*"],
  because: "X-Ray has no resource-level permissions for these actions",
};

export const writeLogs = (logGroupArn: string): Permission => ({
  actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
  resources: [logGroupArn],
  because: "log streams are created by their writers; before the wildcard is one log group",
});

export const pullImages = (repositories: string): Permission[] => [
  {
    actions: ["ecr:GetAuthorizationToken"],
    resources: ["*"],
    because: "ECR has no resource-level permissions for this action",
  },
  {
    actions: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    resources: [repositories],
    because: "pods name any image of this account and region",
  },
];
