import { aws_ec2 as ec2, Fn, type Stack, Tags, Validations } from "aws-cdk-lib";
import type { IDependable } from "constructs";
import type { Config } from "../config.ts";
import { acknowledge } from "./acknowledge.ts";

export interface Network {
  vpc: ec2.IVpc;
  subnets: ec2.ISubnet[];
  /** Nodes and tasks of pods: they reach each other and the internet; load balancers reach ports for services. */
  securityGroup: ec2.SecurityGroup;
  /** The security group of every load balancer of a service, from which nodes accept traffic. */
  balancers: ec2.SecurityGroup;
  /** Ids of the route tables with routes to pods; empty if the cluster does not manage routes. */
  routeTables: string[];
  /** What instances need to reach anything: created before them, and deleted after them. */
  wayOut: IDependable[];
}

/** The VPC of nodes and tasks: adopted, or created without a NAT gateway, which would cost more than the rest. */
export function network(stack: Stack, config: Config): Network {
  const { vpc, subnets, routeTables, wayOut } =
    config.vpc.id === undefined ? createVpc(stack, config) : adoptVpc(stack, config);
  const securityGroup = new ec2.SecurityGroup(stack, "Nodes", {
    vpc,
    description: `Skiff ${config.cluster}: nodes and pods`,
    allowAllOutbound: true,
  });
  securityGroup.addIngressRule(securityGroup, ec2.Port.allTraffic(), "nodes and pods among themselves");
  // Packets of pods have the pods' addresses, which belong to no network interface and so to no security group.
  if (routeTables.length > 0)
    securityGroup.addIngressRule(ec2.Peer.ipv4(config.podCidr), ec2.Port.allTraffic(), "pods of other nodes");
  const balancers = new ec2.SecurityGroup(stack, "Balancers", {
    vpc,
    description: `Skiff ${config.cluster}: load balancers of services`,
    allowAllOutbound: true,
  });
  for (const port of [ec2.Port.tcpRange(30_000, 32_767), ec2.Port.udpRange(30_000, 32_767)])
    securityGroup.addIngressRule(balancers, port, "load balancers of services");
  return { vpc, subnets, securityGroup, balancers, routeTables, wayOut };
}

type VpcParts = Pick<Network, "vpc" | "subnets" | "routeTables" | "wayOut">;

function adoptVpc(stack: Stack, { vpc: { id = "", subnets: ids = [], routeTables = [] } }: Config): VpcParts {
  const availabilityZones = ids.map((_, index) => Fn.select(index, Fn.getAzs()));
  const vpc = ec2.Vpc.fromVpcAttributes(stack, "Vpc", { vpcId: id, availabilityZones });
  const subnets = ids.map((subnet, index) => {
    const imported = ec2.Subnet.fromSubnetId(stack, `Subnet${index}`, subnet);
    Validations.of(imported).acknowledge({
      id: "Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId",
      reason: "the routes of an adopted VPC are not changed",
    });
    return imported;
  });
  return { vpc, subnets, routeTables, wayOut: [] };
}

/** Public subnets: with a route to the internet, and inbound traffic only as security groups allow it. */
function createVpc(stack: Stack, { cluster, vpc: { cidr, zones } }: Config): VpcParts {
  const name = `skiff-${cluster}`;
  const vpc = new ec2.CfnVPC(stack, "Vpc", { cidrBlock: cidr, enableDnsHostnames: true, enableDnsSupport: true });
  acknowledge(vpc, { VPC7: "flow logs cost more than the nodes that they watch; adopt a VPC to have them" });
  const gateway = new ec2.CfnInternetGateway(stack, "Gateway");
  const attached = new ec2.CfnVPCGatewayAttachment(stack, "GatewayAttachment", {
    vpcId: vpc.ref,
    internetGatewayId: gateway.ref,
  });
  const table = new ec2.CfnRouteTable(stack, "Routes", { vpcId: vpc.ref });
  const route = new ec2.CfnRoute(stack, "WayOut", {
    routeTableId: table.ref,
    destinationCidrBlock: "0.0.0.0/0",
    gatewayId: gateway.ref,
  });
  route.addResourceDependency(attached);
  // Traffic to these two services leaves the VPC without a gateway, at no cost.
  for (const [id, service] of [["S3", "s3"] as const, ["DynamoDb", "dynamodb"] as const]) {
    new ec2.CfnVPCEndpoint(stack, `${id}Endpoint`, {
      vpcId: vpc.ref,
      vpcEndpointType: "Gateway",
      serviceName: `com.amazonaws.${stack.region}.${service}`,
      routeTableIds: [table.ref],
    });
  }
  const availabilityZones = Array.from({ length: zones }, (_, index) => Fn.select(index, Fn.getAzs()));
  const wayOut: IDependable[] = [route];
  const blocks = Fn.cidr(vpc.attrCidrBlock, zones, String(hostBits(cidr, zones)));
  const subnets = availabilityZones.map((availabilityZone, index) => {
    const subnet = new ec2.CfnSubnet(stack, `Public${index}`, {
      vpcId: vpc.ref,
      availabilityZone,
      cidrBlock: Fn.select(index, blocks),
      mapPublicIpOnLaunch: true,
    });
    wayOut.push(
      new ec2.CfnSubnetRouteTableAssociation(stack, `Public${index}Routes`, {
        subnetId: subnet.ref,
        routeTableId: table.ref,
      }),
    );
    Tags.of(subnet).add("Name", `${name}-${index}`);
    return ec2.Subnet.fromSubnetAttributes(stack, `Subnet${index}`, {
      subnetId: subnet.ref,
      availabilityZone,
      routeTableId: table.ref,
    });
  });
  Tags.of(vpc).add("Name", name);
  return {
    vpc: ec2.Vpc.fromVpcAttributes(stack, "Network", { vpcId: vpc.ref, availabilityZones }),
    subnets,
    routeTables: [table.ref],
    wayOut,
  };
}

/** Host bits when the block is divided evenly; a subnet has at most 16. */
const hostBits = (cidr: string, zones: number): number =>
  Math.min(16, 32 - Number(cidr.split("/")[1]) - Math.ceil(Math.log2(zones)));
