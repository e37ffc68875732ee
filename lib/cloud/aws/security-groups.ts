import type { ServiceRef } from "#cloud";
import { isCode } from "./errors.ts";
import { balancerTag, clusterTag, securityGroupName, serviceIn, type Tags, tagList, tagsOf } from "./names.ts";
import type { AwsCloudOptions } from "./options.ts";
import type { Listener } from "./settings.ts";
import type { Changes } from "./tags.ts";
import { itemsAt, textAt, type Xml } from "./xml.ts";

/** One block that may reach some ports, in a form that can be compared: `tcp/80-80/192.0.2.0/24`. */
type Rule = `${string}/${string}-${string}/${string}`;

const tagsOfItem = (group: Xml): Tags =>
  Object.fromEntries(itemsAt(group, "tagSet").map((tag) => [textAt(tag, "key"), textAt(tag, "value")]));

interface DesiredRules {
  service: ServiceRef;
  listeners: readonly Listener[];
  /** Blocks of client addresses. */
  ranges: readonly string[];
}

/** The security groups of load balancers: one for each service, with exactly the rules that the service requests. */
export class SecurityGroups {
  readonly #ec2: AwsCloudOptions["ec2"];
  readonly #cluster: string;
  readonly #vpc: string;

  constructor({ ec2, cluster, vpc }: Pick<AwsCloudOptions, "ec2" | "cluster" | "vpc">) {
    this.#ec2 = ec2;
    this.#cluster = cluster;
    this.#vpc = vpc;
  }

  /** Resolves with the id of a service's group, after its rules are as desired. */
  async ensure({ service, listeners, ranges }: DesiredRules, changes: Changes): Promise<string> {
    const [group] = await this.#of(service.uid);
    const has = new Set(group ? rulesIn(group) : []);
    const desired = new Set(
      listeners.flatMap(({ protocol, port }) =>
        protocols[protocol].flatMap((each) => ranges.map((range): Rule => `${each}/${port}-${port}/${range}`)),
      ),
    );
    const id = group ? textAt(group, "groupId") : await this.#create(service);
    const [missing, surplus] = [desired.difference(has), has.difference(desired)];
    if (missing.size + surplus.size > 0) changes.add("balancer");
    await this.#change("Authorize", id, [...missing]);
    await this.#change("Revoke", id, [...surplus]);
    return id;
  }

  /**
   * Resolves with true once nothing is left; a load balancer that is being deleted holds its group for some minutes.
   */
  async remove(uid: string): Promise<boolean> {
    for (const group of await this.#of(uid)) {
      try {
        await this.#ec2("DeleteSecurityGroup", { GroupId: textAt(group, "groupId") });
      } catch (error) {
        if (isCode(error, "DependencyViolation", "InvalidGroup.InUse")) return false;
        if (!isCode(error, "InvalidGroup.NotFound")) throw error;
      }
    }
    return true;
  }

  /** The services that have a group. */
  async services(): Promise<ServiceRef[]> {
    const groups = await this.#describe({ Name: "tag-key", Value: [balancerTag] });
    return groups.map((group) => serviceIn(tagsOfItem(group)));
  }

  #of(uid: string): Promise<Xml[]> {
    return this.#describe({ Name: `tag:${balancerTag}`, Value: [uid] });
  }

  /** The cluster's groups that pass another filter. */
  async #describe(filter: { Name: string; Value: string[] }): Promise<Xml[]> {
    const Filter = [
      { Name: `tag:${clusterTag}`, Value: [this.#cluster] },
      { Name: "vpc-id", Value: [this.#vpc] },
      filter,
    ];
    const found: Xml[] = [];
    for (let NextToken = ""; ; ) {
      const input = { Filter, MaxResults: 500, ...(NextToken ? { NextToken } : {}) };
      const page = await this.#ec2("DescribeSecurityGroups", input);
      found.push(...itemsAt(page, "securityGroupInfo"));
      NextToken = textAt(page, "nextToken");
      if (!NextToken) return found;
    }
  }

  async #create(service: ServiceRef): Promise<string> {
    const { namespace, name, uid } = service;
    const answer = await this.#ec2("CreateSecurityGroup", {
      GroupName: securityGroupName(this.#cluster, uid),
      GroupDescription: `Skiff ${this.#cluster}: the load balancer of ${namespace}/${name}`,
      VpcId: this.#vpc,
      TagSpecification: [{ ResourceType: "security-group", Tag: tagList(tagsOf(this.#cluster, service)) }],
    });
    return textAt(answer, "groupId");
  }

  async #change(action: "Authorize" | "Revoke", GroupId: string, rules: readonly Rule[]): Promise<void> {
    if (rules.length === 0) return;
    const isDone = action === "Authorize" ? "InvalidPermission.Duplicate" : "InvalidPermission.NotFound";
    const call = async (some: readonly Rule[]): Promise<void> => {
      await this.#ec2(`${action}SecurityGroupIngress`, { GroupId, IpPermissions: some.map(permissionOf) });
    };
    try {
      await call(rules);
    } catch (error) {
      if (!isCode(error, isDone)) throw error;
      // One of them was changed before, and EC2 then changes none: each is changed on its own.
      for (const rule of rules) {
        await call([rule]).catch((failure: unknown) => {
          if (!isCode(failure, isDone)) throw failure;
        });
      }
    }
  }
}

const protocols = { TCP: ["tcp"], UDP: ["udp"], TCP_UDP: ["tcp", "udp"] } as const;

/** The rules of a group for TCP and UDP ports; the driver creates no others. */
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
