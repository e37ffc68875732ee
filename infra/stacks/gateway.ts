import {
  aws_ec2 as ec2,
  aws_ecs as ecs,
  aws_iam as iam,
  aws_logs as logs,
  RemovalPolicy,
  type Stack,
} from "aws-cdk-lib";
import type { Config } from "../config.ts";
import { acknowledge } from "../constructs/acknowledge.ts";
import { role } from "../constructs/role.ts";
import { functions } from "../functions.ts";
import { type Parts, partOf } from "../parts.ts";
import { permissionsOf, pullImages, tracing, writeLogs } from "../permissions.ts";
import type { Nodes } from "./nodes.ts";

/**
 * The API server as one small ECS service over the same tables: it holds links and watches, which a function cannot for
 * long. It is told and may do what `functions/api` is told and may do.
 */
export function gatewayStack(stack: Stack, config: Config, parts: Parts, { cluster, vpc, subnets }: Nodes): void {
  const { image, port, allow } = config.gateway!;
  const logGroup = new logs.LogGroup(stack, "GatewayLogs", {
    retention: config.retention.functions,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const principal = new iam.ServicePrincipal("ecs-tasks.amazonaws.com");
  const execution = role(stack, "GatewayExecutionRole", {
    by: principal,
    description: `Skiff ${config.cluster}: how ECS starts the gateway`,
    may: [
      ...pullImages(stack.formatArn({ service: "ecr", resource: "repository", resourceName: "*" })),
      writeLogs(logGroup.logGroupArn),
    ],
  });
  const own = role(stack, "GatewayRole", {
    by: principal,
    description: `Skiff ${config.cluster}: what the gateway may do`,
    may: [tracing, ...permissionsOf(functions.api.may, parts)],
  });
  const environment = functions.api.environment.map((name) => ({ name, value: partOf(parts.environment, name) }));
  const task = new ecs.CfnTaskDefinition(stack, "GatewayTask", {
    family: `skiff-gateway-${config.cluster}`,
    cpu: "256",
    memory: "512",
    networkMode: "awsvpc",
    requiresCompatibilities: ["FARGATE"],
    runtimePlatform: { cpuArchitecture: "ARM64", operatingSystemFamily: "LINUX" },
    executionRoleArn: execution.roleArn,
    taskRoleArn: own.roleArn,
    containerDefinitions: [
      {
        name: "gateway",
        image,
        essential: true,
        environment: [...environment, { name: "SKIFF_PORT", value: String(port) }],
        portMappings: [{ containerPort: port }],
        logConfiguration: {
          logDriver: "awslogs",
          options: {
            "awslogs-group": logGroup.logGroupName,
            "awslogs-region": stack.region,
            "awslogs-stream-prefix": "gateway",
          },
        },
      },
    ],
  });
  acknowledge(task, { ECS2: "names and addresses, as the functions get them; there is no secret among them" });
  const securityGroup = new ec2.SecurityGroup(stack, "GatewayAccess", {
    vpc,
    description: `Skiff ${config.cluster}: the gateway`,
    allowAllOutbound: true,
  });
  for (const block of allow) securityGroup.addIngressRule(ec2.Peer.ipv4(block), ec2.Port.tcp(port), "who may call");
  new ecs.CfnService(stack, "Gateway", {
    cluster: cluster.name,
    taskDefinition: task.ref,
    desiredCount: 1,
    launchType: "FARGATE",
    deploymentConfiguration: { deploymentCircuitBreaker: { enable: true, rollback: true } },
    networkConfiguration: {
      awsvpcConfiguration: {
        subnets: subnets.map(({ subnetId }) => subnetId),
        securityGroups: [securityGroup.securityGroupId],
        assignPublicIp: config.vpc.id === undefined ? "ENABLED" : "DISABLED",
      },
    },
  });
}
