import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Cloud } from "#cloud";
import { balancers } from "./balancers.ts";
import { ec2Query } from "./ec2.ts";
import { patiently } from "./errors.ts";
import { ec2Instances } from "./instances.ts";
import type { AwsCloudOptions } from "./options.ts";
import { vpcRoutes } from "./routes.ts";

/** The cloud port over AWS's clients. */
export function awsCloud(options: AwsCloudOptions): Cloud {
  const { ensure, remove, list } = balancers(options);
  const instances = ec2Instances(options);
  const routes = vpcRoutes(options, instances);
  return {
    ensureLoadBalancer: (wanted) => patiently(() => ensure(wanted)),
    removeLoadBalancer: (uid) => patiently(() => remove(uid)),
    loadBalancers: () => patiently(list),
    instances: (nodes) => patiently(() => instances(nodes)),
    routes: async () => (options.routeTables.length === 0 ? undefined : patiently(routes.list)),
    ensureRoute: (route) => patiently(() => routes.ensure(route)),
    removeRoute: (route) => patiently(() => routes.remove(route)),
  };
}

/** The same with clients of its own, which take credentials and endpoints from where the SDK takes them. */
export function openAwsCloud({
  region,
  ec2Endpoint,
  ...options
}: Omit<AwsCloudOptions, "elb" | "ec2"> & { region: string; ec2Endpoint?: string }): Cloud {
  const elb = new ElasticLoadBalancingV2Client({ region, maxAttempts: 2 });
  const credentials = () => elb.config.credentials();
  const ec2 = ec2Query({ region, credentials, ...(ec2Endpoint ? { endpoint: ec2Endpoint } : {}) });
  return awsCloud({ elb, ec2, ...options });
}
