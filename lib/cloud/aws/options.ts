import type { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Ec2 } from "./ec2.ts";

export interface AwsCloudOptions {
  elb: Pick<ElasticLoadBalancingV2Client, "send">;
  ec2: Ec2;
  /** The cluster's name: the only one of its account and region, and the value of its tag. */
  cluster: string;
  vpc: string;
  /** Where load balancers are, at most one for each zone. */
  subnets: readonly string[];
  /** The security group that every load balancer has and that nodes let in. */
  securityGroup: string;
  /** The tables in which routes to pods stand; none: routes are somebody else's. */
  routeTables: readonly string[];
  /** The block of all pods' addresses: other routes are never looked at. */
  podCidr: string;
}
