import { aws_ecs as ecs, aws_iam as iam, aws_logs as logs, RemovalPolicy, type Stack } from "aws-cdk-lib";
import type { Config } from "../config.ts";
import { type Permission, writeLogs } from "../permissions.ts";
import type { Image } from "./image.ts";
import { role } from "./role.ts";

export interface EcsCluster {
  name: string;
  arn: string;
}

/** The permissions of ECS's own agent on an instance that runs tasks of one cluster. */
export function ecsHostPermissions(stack: Stack, cluster: EcsCluster): Permission[] {
  const instances = stack.formatArn({
    service: "ecs",
    resource: "container-instance",
    resourceName: `${cluster.name}/*`,
  });
  return [
    {
      actions: ["ecs:DiscoverPollEndpoint"],
      resources: ["*"],
      because: "ECS has no resource-level permissions for this action",
    },
    {
      actions: [
        "ecs:DeregisterContainerInstance",
        "ecs:RegisterContainerInstance",
        "ecs:SubmitAttachmentStateChanges",
        "ecs:SubmitContainerStateChange",
        "ecs:SubmitTaskStateChange",
      ],
      resources: [cluster.arn],
    },
    {
      actions: ["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"],
      resources: [instances],
      because: "instances get their ids from ECS; before the wildcard is this cluster's ECS cluster",
    },
  ];
}

/**
 * The agent on each of some ECS instances. The task brings it and has the host's systemd run it: pods are the host's and
 * outlive the task. It has no role of its own: its node is the instance, and only the instance's role, which EC2 alone
 * may assume, says which.
 */
export function agentService(
  stack: Stack,
  { cluster: name, retention }: Config,
  { cluster, image }: { cluster: EcsCluster; image: Image },
): void {
  const logGroup = new logs.LogGroup(stack, "AgentLogs", {
    retention: retention.functions,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const execution = role(stack, "AgentExecutionRole", {
    by: new iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
    description: `Skiff ${name}: ECS's role to start an agent`,
    may: [...image.pull, writeLogs(logGroup.logGroupArn)],
  });
  const folder = { name: "programs", path: "/opt/skiff" };
  const task = new ecs.CfnTaskDefinition(stack, "AgentTask", {
    family: `skiff-agent-${name}`,
    networkMode: "host",
    // Together with its privileges, how it reaches the host's systemd.
    pidMode: "host",
    requiresCompatibilities: ["EC2"],
    executionRoleArn: execution.roleArn,
    volumes: [{ name: folder.name, host: { sourcePath: folder.path } }],
    containerDefinitions: [
      {
        name: "agent",
        image: image.uri,
        command: ["--config", "/etc/skiff/agent.json"],
        essential: true,
        memoryReservation: 256,
        privileged: true,
        mountPoints: [{ sourceVolume: folder.name, containerPath: folder.path }],
        stopTimeout: 60,
        logConfiguration: {
          logDriver: "awslogs",
          options: {
            "awslogs-group": logGroup.logGroupName,
            "awslogs-region": stack.region,
            "awslogs-stream-prefix": "agent",
          },
        },
      },
    ],
  });
  new ecs.CfnService(stack, "AgentService", {
    cluster: cluster.name,
    taskDefinition: task.ref,
    launchType: "EC2",
    schedulingStrategy: "DAEMON",
    deploymentConfiguration: { minimumHealthyPercent: 0, maximumPercent: 100 },
  });
}
