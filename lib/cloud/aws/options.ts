import type { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Ec2 } from "./ec2.ts";

export interface AwsCloudOptions {
  elb: Pick<ElasticLoadBalancingV2Client, "send">;
  ec2: Ec2;
  /** The cluster's name, unique in its account and region: the value of `clusterTag`. */
  cluster: string;
  vpc: string;
  /** The default subnets of load balancers, at most one for each zone. */
  subnets: readonly string[];
  /** The security group of every load balancer, from which nodes accept traffic. */
  securityGroup: string;
  /** The route tables with the routes to pods. Empty: the cluster does not manage routes. */
  routeTables: readonly string[];
  /** The block of all pods' addresses: routes outside of it are ignored. */
  podCidr: string;
}
