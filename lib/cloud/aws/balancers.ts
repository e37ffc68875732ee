import {
  CreateLoadBalancerCommand,
  DeleteLoadBalancerCommand,
  type LoadBalancer as Described,
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
  ModifyLoadBalancerAttributesCommand,
  SetSubnetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { type Balanced, type Balancing, type LoadBalancer, Refused } from "#cloud";
import { RetryAfter } from "#reconcile";
import { unless } from "./errors.ts";
import { ensureListeners } from "./listeners.ts";
import { balancerName, isMarked, tagList, tagsOf } from "./names.ts";
import type { AwsCloudOptions } from "./options.ts";
import { securityGroups } from "./security-groups.ts";
import { type Settings, settingsOf } from "./settings.ts";
import { type Changes, tagsIn } from "./tags.ts";
import { targetGroups } from "./target-groups.ts";

/**
 * A service's load balancer is four things: a security group with what may come in, the balancer, a target group for
 * each port, and listeners between. The security group is made first and removed last: where it is not, nothing is.
 */
export function balancers(options: AwsCloudOptions) {
  const { elb, cluster } = options;
  const groups = targetGroups(options);
  const doors = securityGroups(options);

  /** The one of this name, if it is ours; somebody else's is `foreign`. */
  const find = async (uid: string): Promise<Described | "foreign" | undefined> => {
    const asked = elb.send(new DescribeLoadBalancersCommand({ Names: [balancerName(cluster, uid)] }));
    const one = (await unless(["LoadBalancerNotFound"], asked))?.LoadBalancers?.[0];
    if (!one) return undefined;
    const arn = one.LoadBalancerArn ?? "";
    return isMarked((await tagsIn(elb, [arn])).get(arn) ?? {}, cluster, uid) ? one : "foreign";
  };

  const create = async (service: Balancing, settings: Settings, door: string): Promise<Described> => {
    const answer = await elb.send(
      new CreateLoadBalancerCommand({
        Name: balancerName(cluster, service.uid),
        Type: "network",
        Scheme: settings.scheme,
        Subnets: [...(settings.subnets ?? options.subnets)],
        SecurityGroups: [door, options.securityGroup],
        Tags: tagList(tagsOf(cluster, service)),
      }),
    );
    return answer.LoadBalancers![0]!;
  };

  const adjust = async (one: Described, settings: Settings, changes: Changes): Promise<void> => {
    const { LoadBalancerArn, AvailabilityZones = [] } = one;
    const Subnets = [...(settings.subnets ?? options.subnets)];
    const has = AvailabilityZones.map(({ SubnetId = "" }) => SubnetId);
    if ([...has].sort().join() !== [...Subnets].sort().join()) {
      await elb.send(new SetSubnetsCommand({ LoadBalancerArn, Subnets }));
      changes.add("balancer");
    }
    const { Attributes = [] } = await elb.send(new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn }));
    const Key = "load_balancing.cross_zone.enabled";
    const crossZone = Attributes.find((each) => each.Key === Key)?.Value === "true";
    if (crossZone === settings.crossZone) return;
    const Value = String(settings.crossZone);
    await elb.send(new ModifyLoadBalancerAttributesCommand({ LoadBalancerArn, Attributes: [{ Key, Value }] }));
    changes.add("balancer");
  };

  /** A load balancer's scheme is for ever: one of the other kind makes room first. */
  const replace = async (one: Described): Promise<never> => {
    await elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: one.LoadBalancerArn }));
    throw new RetryAfter(5000, "the load balancer is made anew with another scheme");
  };

  return {
    async ensure(wanted: LoadBalancer): Promise<Balanced> {
      const { service, nodes } = wanted;
      const settings = settingsOf(wanted);
      const changes: Changes = new Set();
      const there = await find(service.uid);
      if (there === "foreign") {
        throw new Refused(`${balancerName(cluster, service.uid)} is there and does not belong to this cluster`);
      }
      const door = await doors.ensure(service, settings.listeners, wanted.sourceRanges, changes);
      if (there && there.Scheme !== settings.scheme) return replace(there);
      if (!there) changes.add("balancer");
      const one = there ?? (await create(service, settings, door));
      await adjust(one, settings, changes);
      const { arns, others } = await groups.ensure(service, settings, nodes, changes);
      await ensureListeners(elb, { balancer: one.LoadBalancerArn!, service, cluster, settings, groups: arns }, changes);
      await groups.removeOthers(others, changes);
      const { Code, Reason = "" } = one.State ?? {};
      if (Code === "failed") throw new Error(`the load balancer has failed: ${Reason}`);
      return {
        state: Code === "provisioning" ? "provisioning" : "active",
        ingress: one.DNSName ? [{ hostname: one.DNSName }] : [],
        changed: changes.has("balancer") ? "balancer" : changes.has("nodes") ? "nodes" : "nothing",
      };
    },

    async remove(uid: string): Promise<"gone" | "going"> {
      const there = await find(uid);
      if (there && there !== "foreign") {
        await elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: there.LoadBalancerArn }));
      }
      if (!(await groups.remove(uid))) return "going";
      return (await doors.remove(uid)) ? "gone" : "going";
    },

    list: doors.services,
  };
}
