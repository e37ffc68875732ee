import type { Balancing } from "#cloud";
import { isCode } from "./errors.ts";
import { balancerTag, clusterTag, securityGroupName, serviceIn, type Tags, tagList, tagsOf } from "./names.ts";
import type { AwsCloudOptions } from "./options.ts";
import type { Listener } from "./settings.ts";
import type { Changes } from "./tags.ts";
import { itemsAt, textAt, type Xml } from "./xml.ts";

/** One block that may reach some ports, as text to compare: `tcp/80-80/192.0.2.0/24`. */
type Rule = `${string}/${string}-${string}/${string}`;

const tagsOfItem = (group: Xml): Tags =>
  Object.fromEntries(itemsAt(group, "tagSet").map((tag) => [textAt(tag, "key"), textAt(tag, "value")]));

/** Who may reach load balancers: a security group for each, and nothing in it that a service does not ask for. */
export function securityGroups({ ec2, cluster, vpc }: AwsCloudOptions) {
  const describe = async (...more: { Name: string; Value: string[] }[]): Promise<Xml[]> => {
    const own = [
      { Name: `tag:${clusterTag}`, Value: [cluster] },
      { Name: "vpc-id", Value: [vpc] },
    ];
    const found: Xml[] = [];
    for (let NextToken = ""; ; ) {
      const Filter = [...own, ...more];
      const page = await ec2("DescribeSecurityGroups", {
        Filter,
        MaxResults: 500,
        ...(NextToken ? { NextToken } : {}),
      });
      found.push(...itemsAt(page, "securityGroupInfo"));
      NextToken = textAt(page, "nextToken");
      if (!NextToken) return found;
    }
  };
  const of = (uid: string) => describe({ Name: `tag:${balancerTag}`, Value: [uid] });

  const create = async (service: Balancing): Promise<string> => {
    const { namespace, name, uid } = service;
    const answer = await ec2("CreateSecurityGroup", {
      GroupName: securityGroupName(cluster, uid),
      GroupDescription: `Skiff ${cluster}: the load balancer of ${namespace}/${name}`,
      VpcId: vpc,
      TagSpecification: [{ ResourceType: "security-group", Tag: tagList(tagsOf(cluster, service)) }],
    });
    return textAt(answer, "groupId");
  };

  const change = async (action: "Authorize" | "Revoke", GroupId: string, rules: readonly Rule[]): Promise<void> => {
    const isDone = action === "Authorize" ? "InvalidPermission.Duplicate" : "InvalidPermission.NotFound";
    const call = async (some: readonly Rule[]): Promise<void> => {
      await ec2(`${action}SecurityGroupIngress`, { GroupId, IpPermissions: some.map(permissionOf) });
    };
    if (rules.length === 0) return;
    try {
      await call(rules);
    } catch (error) {
      if (!isCode(error, isDone)) throw error;
      // Some of them are as they should be, and then none was changed: one by one, each is.
      for (const rule of rules)
        await call([rule]).catch((failure: unknown) => {
          if (!isCode(failure, isDone)) throw failure;
        });
    }
  };

  return {
    /** The id of a service's group, which lets in what is wanted and nothing else. */
    async ensure(
      service: Balancing,
      listeners: readonly Listener[],
      ranges: readonly string[],
      changes: Changes,
    ): Promise<string> {
      const [group] = await of(service.uid);
      const has = new Set(group ? rulesIn(group) : []);
      const wanted = new Set(
        listeners.flatMap(({ protocol, port }) =>
          protocols[protocol].flatMap((each) => ranges.map((range): Rule => `${each}/${port}-${port}/${range}`)),
        ),
      );
      const id = group ? textAt(group, "groupId") : await create(service);
      const [missing, over] = [wanted.difference(has), has.difference(wanted)];
      if (missing.size + over.size > 0) changes.add("balancer");
      await change("Authorize", id, [...missing]);
      await change("Revoke", id, [...over]);
      return id;
    },

    /** Resolves with whether nothing of it is left; a load balancer that goes holds it for some minutes. */
    async remove(uid: string): Promise<boolean> {
      for (const group of await of(uid)) {
        try {
          await ec2("DeleteSecurityGroup", { GroupId: textAt(group, "groupId") });
        } catch (error) {
          if (isCode(error, "DependencyViolation", "InvalidGroup.InUse")) return false;
          if (!isCode(error, "InvalidGroup.NotFound")) throw error;
        }
      }
      return true;
    },

    services: async (): Promise<Balancing[]> =>
      (await describe({ Name: "tag-key", Value: [balancerTag] })).map((group) => serviceIn(tagsOfItem(group))),
  };
}

const protocols = { TCP: ["tcp"], UDP: ["udp"], TCP_UDP: ["tcp", "udp"] } as const;

/** The rules of a group for ports of TCP and UDP; the driver makes no others. */
const rulesIn = (group: Xml): Rule[] =>
  itemsAt(group, "ipPermissions").flatMap((permission) => {
    const protocol = textAt(permission, "ipProtocol");
    if (protocol !== "tcp" && protocol !== "udp") return [];
    const ports = ["fromPort", "toPort"].map((name) => textAt(permission, name)).join("-");
    return itemsAt(permission, "ipRanges").map((range) => `${protocol}/${ports}/${textAt(range, "cidrIp")}` as Rule);
  });

function permissionOf(rule: Rule) {
  const [IpProtocol = "", ports = "", ...range] = rule.split("/");
  const [FromPort = "", ToPort = ""] = ports.split("-");
  return { IpProtocol, FromPort, ToPort, IpRanges: [{ CidrIp: range.join("/") }] };
}
