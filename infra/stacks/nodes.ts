import {
  aws_s3_assets as assets,
  aws_autoscaling as autoscaling,
  Duration,
  aws_ec2 as ec2,
  aws_ecs as ecs,
  aws_iam as iam,
  type Stack,
  Tags,
} from "aws-cdk-lib";
import type { IDependable } from "constructs";
import type { Bundles } from "../bundle.ts";
import type { Config } from "../config.ts";
import { acknowledge } from "../constructs/acknowledge.ts";
import { agentService, type EcsCluster, ecsHostPermissions } from "../constructs/agent-service.ts";
import { image } from "../constructs/image.ts";
import { type Network, network } from "../constructs/network.ts";
import { policy, role } from "../constructs/role.ts";
import { type Parts, partOf } from "../parts.ts";
import { pullImages, writeLogs } from "../permissions.ts";
import { nodeScript } from "../user-data.ts";
import { type Api, restStage } from "./api.ts";

export interface Nodes extends Network {
  cluster: EcsCluster;
  groups: autoscaling.AutoScalingGroup[];
}

export interface NodesOptions {
  config: Config;
  bundles: Bundles;
  parts: Parts;
  api: Api;
}

/** Where pods run: the network, groups of instances, and the ECS cluster of the Fargate node. */
export function nodesStack(stack: Stack, { config, bundles, parts, api }: NodesOptions): Nodes {
  const net = network(stack, config);
  reachable(stack, parts, net);
  const cluster = ecsCluster(stack, config, parts, net);
  const agent = new assets.Asset(stack, "Agent", { path: bundles.agent });
  const archive = stack.formatArn({
    service: "s3",
    region: "",
    account: "",
    resource: agent.s3BucketName,
    resourceName: agent.s3ObjectKey,
  });
  const rights = policy(stack, "NodePolicy", api.nodeRole, [
    {
      actions: ["execute-api:Invoke"],
      resources: [
        `${api.rest.arnForExecuteApi("*", "/iam", restStage)}/*`,
        api.rest.arnForExecuteApi("*", "/iam", restStage),
      ],
      because: "a node uses many paths; before the wildcards is the signed surface of this cluster's API",
    },
    { actions: ["execute-api:Invoke"], resources: [api.connectArn] },
    writeLogs(`${partOf(parts.arns, "podLogs")}:*`),
    { actions: ["s3:GetObject"], resources: [archive] },
    // The agent requests credentials for private images from ECR.
    ...pullImages(repositoriesOf(stack)),
    ...(config.agentService ? ecsHostPermissions(stack, cluster) : []),
  ]);
  const shared: Shared = {
    stack,
    config,
    net,
    before: [...net.wayOut, rights],
    role: api.nodeRole,
    agent: agent.s3ObjectUrl,
    agentConfig: {
      server: `${api.endpoint}/iam`,
      region: config.region,
      sigv4: true,
      link: api.dial,
      runtime: "containerd",
      dataDir: "/var/lib/skiff",
      podLogGroup: partOf(parts.environment, "SKIFF_POD_LOG_GROUP"),
      serviceCidr: config.serviceCidr,
      ...(config.proxyMode === undefined ? {} : { proxyMode: config.proxyMode }),
      // Without a gateway, agents look for none.
      ...(config.gateway ? { gateway: { clusterId: partOf(parts.environment, "SKIFF_CLUSTER_ID") } } : {}),
      registryMirrors: [],
      verbose: false,
    },
  };
  const groups = config.nodeGroups.map((group) => nodeGroup(shared, group));
  if (config.agentService) {
    const { image: given, instanceType, count } = config.agentService;
    const architecture = architectureOf(instanceType);
    groups.push(agentHosts(shared, cluster, instanceType, count));
    const brought = image(stack, "AgentImage", { given, folder: bundles.images.agent, architecture });
    agentService(stack, config, { cluster, image: brought });
  }
  return { ...net, cluster, groups };
}

interface Shared {
  stack: Stack;
  config: Config;
  net: Network;
  /** What is there before the first instance: its script runs once, and fails without. */
  before: IDependable[];
  role: iam.IRole;
  agent: string;
  agentConfig: Record<string, unknown>;
}

/** Access to services from outside, and to pods of other nodes. */
function reachable(stack: Stack, parts: Parts, { vpc, routeTables, balancers }: Network): void {
  const named = (service: string, resource: string, resourceName: string) =>
    stack.formatArn({ service, resource, resourceName });
  const elb = "elasticloadbalancing";
  Object.assign(parts.environment, {
    SKIFF_VPC: vpc.vpcId,
    SKIFF_ROUTE_TABLES: routeTables.join(","),
    SKIFF_BALANCER_SECURITY_GROUP: balancers.securityGroupId,
  } satisfies Parts["environment"]);
  Object.assign(parts.arns, {
    vpc: named("ec2", "vpc", vpc.vpcId),
    routeTables: routeTables.map((id) => named("ec2", "route-table", id)).join(","),
    instances: named("ec2", "instance", "*"),
    securityGroups: named("ec2", "security-group", "*"),
    loadBalancers: named(elb, "loadbalancer", "net/*"),
    listeners: named(elb, "listener", "net/*"),
    targetGroups: named(elb, "targetgroup", "*"),
    balancersRole: stack.formatArn({
      service: "iam",
      region: "",
      resource: "role",
      resourceName: `aws-service-role/${elb}.amazonaws.com/AWSServiceRoleForElasticLoadBalancing`,
    }),
  } satisfies Parts["arns"]);
}

/** Of this account and region: pods' images may be in any. */
const repositoriesOf = (stack: Stack): string =>
  stack.formatArn({ service: "ecr", resource: "repository", resourceName: "*" });

function ecsCluster(stack: Stack, config: Config, parts: Parts, { subnets, securityGroup }: Network): EcsCluster {
  const clusterName = `skiff-${config.cluster}`;
  // No capacity providers: tasks have a launch type. If an account's first ECS cluster names some, ECS fails, since the
  // role that it needs is only being created.
  const cluster = new ecs.CfnCluster(stack, "Ecs", { clusterName });
  acknowledge(cluster, { ECS4: "Container Insights costs more than the tasks; pods tell their own status" });
  const execution = role(stack, "TaskExecutionRole", {
    by: new iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
    description: `Skiff ${config.cluster}: ECS's role to start a pod's task`,
    may: [...pullImages(repositoriesOf(stack)), writeLogs(`${partOf(parts.arns, "podLogs")}:*`)],
  });
  Object.assign(parts.environment, {
    SKIFF_ECS_CLUSTER: cluster.ref,
    SKIFF_SUBNETS: subnets.map(({ subnetId }) => subnetId).join(","),
    SKIFF_SECURITY_GROUPS: securityGroup.securityGroupId,
    SKIFF_TASK_EXECUTION_ROLE: execution.roleArn,
  } satisfies Parts["environment"]);
  const named = (resource: string, resourceName: string) => stack.formatArn({ service: "ecs", resource, resourceName });
  Object.assign(parts.arns, {
    ecsCluster: cluster.attrArn,
    taskFamilies: named("task-definition", `${clusterName}-*`),
    tasks: named("task", `${clusterName}/*`),
    taskExecutionRole: execution.roleArn,
  } satisfies Parts["arns"]);
  return { name: cluster.ref, arn: cluster.attrArn };
}

type NodeGroup = Config["nodeGroups"][number];

/** Instances whose metadata only the host can reach, with an encrypted disk; Spot takes the cheapest pools with room. */
function nodeGroup(shared: Shared, group: NodeGroup): autoscaling.AutoScalingGroup {
  const cpuType = group.architecture === "arm64" ? ec2.AmazonLinuxCpuType.ARM_64 : ec2.AmazonLinuxCpuType.X86_64;
  const labels = {
    ...group.labels,
    "skiff.dev/node-group": group.name,
    "topology.kubernetes.io/zone": "INSTANCE_ZONE",
    "topology.kubernetes.io/region": shared.config.region,
    "node.kubernetes.io/instance-type": "INSTANCE_TYPE",
  };
  return instances(shared, {
    name: group.name,
    machineImage: ec2.MachineImage.latestAmazonLinux2023({ cpuType }),
    script: nodeScript({ agent: shared.agent, config: { ...shared.agentConfig, labels } }),
    types: group.instanceTypes,
    minimum: group.minimum,
    maximum: group.maximum,
    spot: group.spot,
    disk: group.disk,
  });
}

interface Instances {
  name: string;
  machineImage: ec2.IMachineImage;
  script: string[];
  types: readonly string[];
  minimum: number;
  maximum: number;
  spot: boolean;
  disk: number;
}

function instances(
  { stack, config, net, before, role: nodeRole }: Shared,
  group: Instances,
): autoscaling.AutoScalingGroup {
  const id = `Group${group.name}`;
  const userData = ec2.UserData.forLinux();
  userData.addCommands(...group.script);
  const launchTemplate = new ec2.LaunchTemplate(stack, `${id}Template`, {
    machineImage: group.machineImage,
    instanceType: new ec2.InstanceType(group.types[0]!),
    userData,
    securityGroup: net.securityGroup,
    role: nodeRole,
    httpTokens: ec2.LaunchTemplateHttpTokens.REQUIRED,
    // Pods are one hop further away than their node: the node's role is not theirs.
    httpPutResponseHopLimit: 1,
    blockDevices: [
      {
        deviceName: "/dev/xvda",
        volume: ec2.BlockDeviceVolume.ebs(group.disk, { encrypted: true, volumeType: ec2.EbsDeviceVolumeType.GP3 }),
      },
    ],
  });
  const scaling = new autoscaling.AutoScalingGroup(stack, id, {
    vpc: net.vpc,
    vpcSubnets: { subnets: net.subnets },
    minCapacity: group.minimum,
    maxCapacity: group.maximum,
    mixedInstancesPolicy: {
      launchTemplate,
      launchTemplateOverrides: group.types.map((type) => ({ instanceType: new ec2.InstanceType(type) })),
      instancesDistribution: {
        onDemandBaseCapacity: 0,
        onDemandPercentageAboveBaseCapacity: group.spot ? 0 : 100,
        spotAllocationStrategy: autoscaling.SpotAllocationStrategy.PRICE_CAPACITY_OPTIMIZED,
      },
    },
    capacityRebalance: group.spot,
    healthChecks: autoscaling.HealthChecks.ec2({ gracePeriod: Duration.minutes(3) }),
    updatePolicy: autoscaling.UpdatePolicy.rollingUpdate({ minInstancesInService: 0 }),
  });
  scaling.node.addDependency(...before);
  acknowledge(scaling, {
    EC26: "the launch template encrypts the disk; the rule cannot read it behind a mixed policy",
    AS3: "the cluster itself tells when nodes come and go; EventBridge tells it of instances",
    EC28: "nodes report their own load; detailed monitoring costs two dollars for each instance",
  });
  Tags.of(scaling).add("Name", `skiff-${config.cluster}-${group.name}`);
  return scaling;
}

const architectureOf = (type: string): "arm64" | "x86_64" =>
  new ec2.InstanceType(type).architecture === ec2.InstanceArchitecture.ARM_64 ? "arm64" : "x86_64";
const hardware = { arm64: ecs.AmiHardwareType.ARM, x86_64: ecs.AmiHardwareType.STANDARD };

/** The instances of the agents' ECS service: they get the runtime and the configuration; ECS brings the agent. */
function agentHosts(
  shared: Shared,
  cluster: EcsCluster,
  instanceType: string,
  count: number,
): autoscaling.AutoScalingGroup {
  return instances(shared, {
    name: "ecs",
    machineImage: ecs.EcsOptimizedImage.amazonLinux2023(hardware[architectureOf(instanceType)]),
    script: nodeScript({
      config: { ...shared.agentConfig, labels: { "skiff.dev/node-group": "ecs" } },
      // By reference: an ECS cluster exists before its instances, and cannot be deleted while it has any.
      before: [`echo ECS_CLUSTER=${cluster.name} >> /etc/ecs/ecs.config`],
    }),
    types: [instanceType],
    minimum: count,
    maximum: count,
    spot: false,
    disk: 30,
  });
}
