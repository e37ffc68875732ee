import type { Instance } from "#cloud";
import { clusterTag } from "./names.ts";
import type { AwsCloudOptions } from "./options.ts";
import { itemsAt, textAt } from "./xml.ts";

export type Instances = (nodes: readonly string[]) => Promise<Instance[]>;

/**
 * The cluster's running instances, by the names of nodes, which are instance ids. They have its tag and are in its VPC.
 */
export function ec2Instances({ ec2, cluster, vpc }: Pick<AwsCloudOptions, "ec2" | "cluster" | "vpc">): Instances {
  const Filter = [
    { Name: `tag:${clusterTag}`, Value: [cluster] },
    { Name: "vpc-id", Value: [vpc] },
    { Name: "instance-state-name", Value: ["running"] },
  ];
  return async (nodes) => {
    const requested = new Set(nodes.filter((name) => /^i-[0-9a-f]+$/.test(name)));
    if (requested.size === 0) return [];
    const found: Instance[] = [];
    for (let NextToken = ""; ; ) {
      const page = await ec2("DescribeInstances", { Filter, MaxResults: 1000, ...(NextToken ? { NextToken } : {}) });
      for (const one of itemsAt(page, "reservationSet").flatMap((each) => itemsAt(each, "instancesSet"))) {
        const node = textAt(one, "instanceId");
        if (!requested.has(node)) continue;
        const zone = textAt(one, "placement", "availabilityZone");
        found.push({ node, zone, forwards: textAt(one, "sourceDestCheck") === "false" });
      }
      NextToken = textAt(page, "nextToken");
      if (!NextToken) return found;
    }
  };
}
