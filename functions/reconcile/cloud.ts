import type { Cloud } from "#cloud";
import { openAwsCloud } from "#cloud/aws";
import { requiredVariable } from "#hosts/aws/environment";

/** The cloud as the deployment describes it; its clients are loaded with this file, which few reconciles need. */
export function openCloud(): Cloud {
  const { AWS_REGION: region = "", AWS_ENDPOINT_URL_EC2, AWS_ENDPOINT_URL } = process.env;
  const ec2Endpoint = AWS_ENDPOINT_URL_EC2 ?? AWS_ENDPOINT_URL;
  return openAwsCloud({
    region,
    cluster: requiredVariable("SKIFF_CLUSTER"),
    vpc: requiredVariable("SKIFF_VPC"),
    subnets: requiredVariable("SKIFF_SUBNETS").split(","),
    securityGroup: requiredVariable("SKIFF_BALANCER_SECURITY_GROUP"),
    routeTables: requiredVariable("SKIFF_ROUTE_TABLES")
      .split(",")
      .filter((id) => id !== ""),
    podCidr: requiredVariable("SKIFF_POD_CIDR"),
    ...(ec2Endpoint ? { ec2Endpoint } : {}),
  });
}
