import { type Capability, queueNames } from "./functions.ts";
import { type Parts, partOf } from "./parts.ts";

/** An Allow of a policy, by hand. A resource with a wildcard says why it cannot be named. */
export interface Permission {
  actions: string[];
  resources: string[];
  conditions?: Record<string, Record<string, string | string[]>>;
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

const tagged = "tags say which are the cluster's, and the condition asks for them; ids are AWS's";
const noResource = "AWS knows no resource for what only looks";

/** What was made for a load balancer of this cluster, or is just being made: stacks' resources lack the second tag. */
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
        // What a load balancer is put into is looked at with the rights of whoever makes it.
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
      because: "tags are given to what is just being made, and to nothing else; ids are AWS's",
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
    // ELB asks the second of whoever makes a load balancer with security groups.
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
      because: "tags are given to what is just being made, and to nothing else; ids are AWS's",
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
      // That an instance takes packets for its pods is an attribute of it; no launch template can say it.
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
      // Who cannot be told is cut off; the method of @connections stands in the ARN.
      resources: [arnOf(parts, "connections"), arnOf(parts, "cutOffs")],
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
  rearm: ({ queues }) => [
    { actions: consumeActions, resources: queueNames.map((name) => partOf(queues, name).dead.arn) },
  ],
  runTasks: (parts) => {
    const cluster = { ArnEquals: { "ecs:cluster": arnOf(parts, "ecsCluster") } };
    return [
      {
        actions: ["ecs:RegisterTaskDefinition"],
        resources: [arnOf(parts, "taskFamilies")],
        because: "families are named after what is in the pod; what is before the wildcard is this cluster's prefix",
      },
      {
        actions: ["ecs:DescribeTaskDefinition", "ecs:DeregisterTaskDefinition", "ecs:ListTaskDefinitionFamilies"],
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
  balance,
  route,
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
