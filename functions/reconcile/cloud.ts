import type { Cloud } from "#cloud";
import { openAwsCloud } from "#cloud/aws";
import { listIn, requiredVariable } from "#hosts/aws/environment";

/** The cloud of the deployment. Its clients are loaded with this file, since few reconciles need them. */
export function openCloud(): Cloud {
  const { AWS_REGION: region = "", AWS_ENDPOINT_URL_EC2, AWS_ENDPOINT_URL } = process.env;
  return openAwsCloud({
    region,
    cluster: requiredVariable("SKIFF_CLUSTER"),
    vpc: requiredVariable("SKIFF_VPC"),
    subnets: requiredVariable("SKIFF_SUBNETS").split(","),
    securityGroup: requiredVariable("SKIFF_BALANCER_SECURITY_GROUP"),
    routeTables: listIn(requiredVariable("SKIFF_ROUTE_TABLES")),
    podCidr: requiredVariable("SKIFF_POD_CIDR"),
    ec2Endpoint: AWS_ENDPOINT_URL_EC2 ?? AWS_ENDPOINT_URL,
  });
}
