import {
  CreateLoadBalancerCommand,
  DeleteLoadBalancerCommand,
  type LoadBalancer as Described,
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
  ModifyLoadBalancerAttributesCommand,
  SetSubnetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { type LoadBalancer, type LoadBalancerStatus, Refused, type ServiceRef } from "#cloud";
import { RetryAfter } from "#reconcile";
import { unless } from "./errors.ts";
import { ensureListeners } from "./listeners.ts";
import { balancerName, isMarked, tagList, tagsOf } from "./names.ts";
import type { AwsCloudOptions } from "./options.ts";
import { SecurityGroups } from "./security-groups.ts";
import { type Settings, settingsOf } from "./settings.ts";
import { type Changes, tagsIn } from "./tags.ts";
import { TargetGroups } from "./target-groups.ts";

/**
 * Load balancers of services. Each has four parts: a security group, the load balancer, a target group for each port,
 * and listeners between them. The security group is created first and deleted last: without it, no other part exists.
 */
export class Balancers {
  readonly #options: AwsCloudOptions;
  readonly #groups: TargetGroups;
  readonly #securityGroups: SecurityGroups;

  constructor(options: AwsCloudOptions) {
    this.#options = options;
    this.#groups = new TargetGroups(options);
    this.#securityGroups = new SecurityGroups(options);
  }

  async ensure(desired: LoadBalancer): Promise<LoadBalancerStatus> {
    const { elb, cluster } = this.#options;
    const { service, nodes } = desired;
    const settings = settingsOf(desired);
    const { listeners } = settings;
    const changes: Changes = new Set();
    const existing = await this.#find(service.uid);
    if (existing === "foreign") {
      const name = balancerName(cluster, service.uid);
      throw new Refused(`the load balancer ${name} exists and does not belong to this cluster`);
    }
    const rules = { service, listeners, ranges: desired.sourceRanges };
    const securityGroup = await this.#securityGroups.ensure(rules, changes);
    if (existing && existing.Scheme !== settings.scheme) return this.#replace(existing);
    if (!existing) changes.add("balancer");
    const one = existing ?? (await this.#create(service, settings, securityGroup));
    await this.#adjust(one, settings, changes);
    const { arns, others } = await this.#groups.ensure({ service, settings, nodes }, changes);
    await ensureListeners(elb, { balancer: one.LoadBalancerArn!, service, cluster, settings, groups: arns }, changes);
    await this.#groups.removeOthers(others, changes);
    return {
      ...statusOf(one),
      changed: changes.has("balancer") ? "balancer" : changes.has("nodes") ? "nodes" : "nothing",
    };
  }

  async remove(uid: string): Promise<"gone" | "going"> {
    const existing = await this.#find(uid);
    if (existing && existing !== "foreign") await this.#delete(existing);
    if (!(await this.#groups.remove(uid))) return "going";
    return (await this.#securityGroups.remove(uid)) ? "gone" : "going";
  }

  /** The services that have at least one part of a load balancer. */
  services(): Promise<ServiceRef[]> {
    return this.#securityGroups.services();
  }

  /** A service's load balancer; `foreign` when one of another owner has its name. */
  async #find(uid: string): Promise<Described | "foreign" | undefined> {
    const { elb, cluster } = this.#options;
    const call = elb.send(new DescribeLoadBalancersCommand({ Names: [balancerName(cluster, uid)] }));
    const one = (await unless(["LoadBalancerNotFound"], call))?.LoadBalancers?.[0];
    if (!one) return undefined;
    const arn = one.LoadBalancerArn ?? "";
    return isMarked((await tagsIn(elb, [arn])).get(arn) ?? {}, cluster, uid) ? one : "foreign";
  }

  async #create(service: ServiceRef, settings: Settings, securityGroup: string): Promise<Described> {
    const { elb, cluster } = this.#options;
    const answer = await elb.send(
      new CreateLoadBalancerCommand({
        Name: balancerName(cluster, service.uid),
        Type: "network",
        Scheme: settings.scheme,
        Subnets: this.#subnetsFor(settings),
        SecurityGroups: [securityGroup, this.#options.securityGroup],
        Tags: tagList(tagsOf(cluster, service)),
      }),
    );
    return answer.LoadBalancers![0]!;
  }

  async #adjust(one: Described, settings: Settings, changes: Changes): Promise<void> {
    const { elb } = this.#options;
    const { LoadBalancerArn, AvailabilityZones = [] } = one;
    const Subnets = this.#subnetsFor(settings);
    const has = AvailabilityZones.map(({ SubnetId = "" }) => SubnetId);
    if (has.sort().join() !== [...Subnets].sort().join()) {
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
  }

  #subnetsFor(settings: Settings): string[] {
    return [...(settings.subnets ?? this.#options.subnets)];
  }

  /** The scheme of a load balancer cannot be changed: it is deleted, and created again by a later call. */
  async #replace(one: Described): Promise<never> {
    await this.#delete(one);
    throw new RetryAfter(5000, "the load balancer is created again with another scheme");
  }

  async #delete({ LoadBalancerArn }: Described): Promise<void> {
    await this.#options.elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn }));
  }
}

function statusOf({ State, DNSName }: Described): Pick<LoadBalancerStatus, "state" | "ingress"> {
  const { Code, Reason = "" } = State ?? {};
  if (Code === "failed") throw new Error(`the load balancer has failed: ${Reason}`);
  return {
    state: Code === "provisioning" ? "provisioning" : "active",
    ingress: DNSName ? [{ hostname: DNSName }] : [],
  };
}
