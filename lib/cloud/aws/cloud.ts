import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Cloud } from "#cloud";
import { Balancers } from "./balancers.ts";
import { ec2Query } from "./ec2.ts";
import { asRetryAfter } from "./errors.ts";
import { ec2Instances } from "./instances.ts";
import type { AwsCloudOptions } from "./options.ts";
import { vpcRoutes } from "./routes.ts";

/** The cloud port over AWS's clients. */
export function awsCloud(options: AwsCloudOptions): Cloud {
  const balancers = new Balancers(options);
  const instances = ec2Instances(options);
  const routes = vpcRoutes(options, instances);
  return {
    ensureLoadBalancer: (desired) => asRetryAfter(() => balancers.ensure(desired)),
    removeLoadBalancer: (uid) => asRetryAfter(() => balancers.remove(uid)),
    loadBalancers: () => asRetryAfter(() => balancers.services()),
    instances: (nodes) => asRetryAfter(() => instances(nodes)),
    routes: async () => (options.routeTables.length === 0 ? undefined : asRetryAfter(routes.list)),
    ensureRoute: (route) => asRetryAfter(() => routes.ensure(route)),
    removeRoute: (route) => asRetryAfter(() => routes.remove(route)),
  };
}

/** The same with clients of its own, whose credentials and endpoints are the SDK's defaults. */
export function openAwsCloud({
  region,
  ec2Endpoint,
  ...options
}: Omit<AwsCloudOptions, "elb" | "ec2"> & { region: string; ec2Endpoint?: string | undefined }): Cloud {
  const elb = new ElasticLoadBalancingV2Client({ region, maxAttempts: 2 });
  const credentials = () => elb.config.credentials();
  const ec2 = ec2Query({ region, credentials, endpoint: ec2Endpoint });
  return awsCloud({ elb, ec2, ...options });
}
