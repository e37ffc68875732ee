import type { Cloud } from "#cloud";
import { openAwsCloud } from "#cloud/aws";
import { told } from "../environment.ts";

/** The cloud as the deployment describes it; its clients are loaded with this file, which few reconciles need. */
export function openCloud(): Cloud {
  const { AWS_REGION: region = "", AWS_ENDPOINT_URL_EC2, AWS_ENDPOINT_URL } = process.env;
  const ec2Endpoint = AWS_ENDPOINT_URL_EC2 ?? AWS_ENDPOINT_URL;
  return openAwsCloud({
    region,
    cluster: told("SKIFF_CLUSTER"),
    vpc: told("SKIFF_VPC"),
    subnets: told("SKIFF_SUBNETS").split(","),
    securityGroup: told("SKIFF_BALANCER_SECURITY_GROUP"),
    routeTables: told("SKIFF_ROUTE_TABLES")
      .split(",")
      .filter((id) => id !== ""),
    podCidr: told("SKIFF_POD_CIDR"),
    ...(ec2Endpoint ? { ec2Endpoint } : {}),
  });
}
