import { DescribeTagsCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Tags } from "./names.ts";
import type { AwsCloudOptions } from "./options.ts";

/** What a run has changed. */
export type Changes = Set<"nodes" | "balancer">;

const mostAtOnce = 20;

/** The tags of load balancers or target groups, by ARN. */
export async function tagsIn(elb: AwsCloudOptions["elb"], arns: readonly string[]): Promise<Map<string, Tags>> {
  const found = new Map<string, Tags>();
  for (let from = 0; from < arns.length; from += mostAtOnce) {
    const { TagDescriptions = [] } = await elb.send(
      new DescribeTagsCommand({ ResourceArns: arns.slice(from, from + mostAtOnce) }),
    );
    for (const { ResourceArn = "", Tags: tags = [] } of TagDescriptions)
      found.set(ResourceArn, Object.fromEntries(tags.map(({ Key = "", Value = "" }) => [Key, Value])));
  }
  return found;
}
