import {
  CfnOutput,
  aws_ec2 as ec2,
  aws_ecs as ecs,
  aws_elasticloadbalancingv2 as elb,
  aws_iam as iam,
  aws_logs as logs,
  RemovalPolicy,
  type Stack,
} from "aws-cdk-lib";
import { gatewayVariables } from "#hosts/aws/environment";
import type { Bundles } from "../bundle.ts";
import type { Config } from "../config.ts";
import { acknowledge } from "../constructs/acknowledge.ts";
import { image } from "../constructs/image.ts";
import { role, serviceInThisAccount } from "../constructs/role.ts";
import type { Capability } from "../functions.ts";
import { gatewayCommand } from "../kubeconfig.ts";
import { type Parts, partOf } from "../parts.ts";
import { permissionsOf, writeLogs } from "../permissions.ts";
import type { Nodes } from "./nodes.ts";

const may: Capability[] = ["store", "send", "sign", "readPodLogs"];

export interface GatewayOptions {
  config: Config;
  bundles: Bundles;
  parts: Parts;
  nodes: Nodes;
}

/**
 * The API server as one small ECS service over the same tables, behind a load balancer that passes bytes on: it holds
 * links and watches, which functions cannot hold for long. Its certificate is issued by a CA of the cluster, so that it
 * needs no domain.
 */
export function gatewayStack(stack: Stack, { config, bundles, parts, nodes }: GatewayOptions): void {
  const { image: given, port } = config.gateway!;
  const { vpc } = nodes;
  const server = image(stack, "Image", { given, folder: bundles.images.gateway, architecture: "arm64" });
  const front = new ec2.SecurityGroup(stack, "Access", {
    vpc,
    // Unchanged for deployed clusters: another description replaces the security group.
    description: `Skiff ${config.cluster}: sources that may call the gateway`,
    allowAllOutbound: true,
  });
  for (const block of config.gateway!.allow) front.addIngressRule(ec2.Peer.ipv4(block), ec2.Port.tcp(port), "callers");
  acknowledge(front, { EC23: "allowed clients are configured; every client needs a token" });
  const back = new ec2.SecurityGroup(stack, "Task", {
    vpc,
    description: `Skiff ${config.cluster}: the gateway`,
    allowAllOutbound: true,
  });
  back.addIngressRule(front, ec2.Port.tcp(port), "the load balancer");
  // Agents connect to the task itself: through the load balancer they would come from public addresses, which no
  // security group contains.
  back.addIngressRule(nodes.securityGroup, ec2.Port.tcp(port), "the agents of nodes");
  back.addIngressRule(back, ec2.Port.tcp(port), "another task, which looks whether this one is still there");
  const { dnsName, targets, listener } = loadBalancer(stack, config, nodes, front);
  const task = taskDefinition(stack, config, parts, { image: server, dnsName });
  const service = new ecs.CfnService(stack, "Gateway", {
    cluster: nodes.cluster.name,
    taskDefinition: task.ref,
    desiredCount: 1,
    launchType: "FARGATE",
    deploymentConfiguration: { deploymentCircuitBreaker: { enable: true, rollback: true } },
    healthCheckGracePeriodSeconds: 60,
    loadBalancers: [{ containerName: "gateway", containerPort: port, targetGroupArn: targets }],
    networkConfiguration: {
      awsvpcConfiguration: {
        subnets: nodes.subnets.map(({ subnetId }) => subnetId),
        securityGroups: [back.securityGroupId],
        assignPublicIp: config.vpc.id === undefined ? "ENABLED" : "DISABLED",
      },
    },
  });
  service.addResourceDependency(listener);
  new CfnOutput(stack, "GatewayEndpoint", { value: `https://${dnsName}:${port}`, description: "The gateway" });
  new CfnOutput(stack, "GatewayKubeconfig", {
    value: gatewayCommand({ cluster: config.cluster, server: `https://${dnsName}:${port}` }),
    description: "Run this, with a kubectl that reaches the cluster, to use the gateway",
  });
}

function loadBalancer(stack: Stack, config: Config, { vpc, subnets }: Nodes, access: ec2.SecurityGroup) {
  const { port, scheme } = config.gateway!;
  const balancer = new elb.CfnLoadBalancer(stack, "Balancer", {
    type: "network",
    scheme,
    subnets: subnets.map(({ subnetId }) => subnetId),
    securityGroups: [access.securityGroupId],
    loadBalancerAttributes: [{ key: "load_balancing.cross_zone.enabled", value: "true" }],
  });
  acknowledge(balancer, { ELB2: "it passes bytes on and sees no request; the gateway tells of each one in its log" });
  const targets = new elb.CfnTargetGroup(stack, "Targets", {
    protocol: "TCP",
    port,
    targetType: "ip",
    vpcId: vpc.vpcId,
    healthCheckProtocol: "HTTPS",
    healthCheckPath: "/readyz",
    healthCheckIntervalSeconds: 10,
    healthyThresholdCount: 2,
    unhealthyThresholdCount: 3,
    targetGroupAttributes: [
      { key: "deregistration_delay.timeout_seconds", value: "30" },
      // The log has the callers.
      { key: "preserve_client_ip.enabled", value: "true" },
    ],
  });
  const listener = new elb.CfnListener(stack, "Listener", {
    loadBalancerArn: balancer.ref,
    protocol: "TCP",
    port,
    defaultActions: [{ type: "forward", targetGroupArn: targets.ref }],
  });
  return { dnsName: balancer.attrDnsName, targets: targets.ref, listener };
}

interface Task {
  image: ReturnType<typeof image>;
  dnsName: string;
}

function taskDefinition(stack: Stack, config: Config, parts: Parts, { image: server, dnsName }: Task) {
  const { port } = config.gateway!;
  const logGroup = new logs.LogGroup(stack, "GatewayLogs", {
    retention: config.retention.functions,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  const execution = role(stack, "GatewayExecutionRole", {
    by: new iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
    description: `Skiff ${config.cluster}: ECS's role to start the gateway`,
    may: [...server.pull, writeLogs(logGroup.logGroupArn)],
  });
  const own = role(stack, "GatewayRole", {
    by: serviceInThisAccount(stack, "ecs-tasks.amazonaws.com"),
    description: `Skiff ${config.cluster}: the gateway's role`,
    may: permissionsOf(may, parts),
  });
  const environment = {
    ...Object.fromEntries(gatewayVariables.map((name) => [name, partOf(parts.environment, name)])),
    SKIFF_GATEWAY_NAME: dnsName,
    SKIFF_PORT: String(port),
    AWS_REGION: config.region,
    // A small young generation separates long-lived objects early; the task has half a GB.
    NODE_OPTIONS: "--max-semi-space-size=8 --max-old-space-size=400",
  };
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
        image: server.uri,
        essential: true,
        readonlyRootFilesystem: true,
        environment: Object.entries(environment).map(([name, value]) => ({ name, value })),
        portMappings: [{ containerPort: port }],
        // ECS reserves these ports for root, and the server does not run as root.
        ...(port < 1024
          ? { systemControls: [{ namespace: "net.ipv4.ip_unprivileged_port_start", value: String(port) }] }
          : {}),
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
  acknowledge(task, { ECS2: "names and addresses, as in the functions' environment; none is secret" });
  return task;
}
