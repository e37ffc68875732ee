import {
  CreateTargetGroupCommand,
  DeleteTargetGroupCommand,
  DeregisterTargetsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
  RegisterTargetsCommand,
  type TargetGroup,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { Refused, type ServiceRef } from "#cloud";
import { isCode } from "./errors.ts";
import { groupName, groupPrefix, isMarked, tagList, tagsOf } from "./names.ts";
import type { AwsCloudOptions } from "./options.ts";
import type { HealthCheck, Listener, Settings } from "./settings.ts";
import { type Changes, tagsIn } from "./tags.ts";

/** The key of a listener's target group: there is one for each protocol and node port of a service. */
export const groupKey = ({ protocol, nodePort }: Listener): string => `${protocol}:${nodePort}`;

const checkInput = ({ protocol, port, path, interval, timeout, healthy, unhealthy }: HealthCheck) => ({
  HealthCheckProtocol: protocol,
  HealthCheckPort: port,
  ...(path === undefined ? {} : { HealthCheckPath: path }),
  HealthCheckIntervalSeconds: interval,
  HealthCheckTimeoutSeconds: timeout,
  HealthyThresholdCount: healthy,
  UnhealthyThresholdCount: unhealthy,
});

const isChecked = (group: TargetGroup, check: HealthCheck): boolean =>
  Object.entries(checkInput(check)).every(([key, value]) => group[key as keyof TargetGroup] === value);

interface DesiredGroups {
  service: ServiceRef;
  settings: Settings;
  nodes: readonly string[];
}

/** The target groups of services, with their nodes as targets. */
export class TargetGroups {
  readonly #elb: AwsCloudOptions["elb"];
  readonly #cluster: string;
  readonly #vpc: string;

  constructor({ elb, cluster, vpc }: Pick<AwsCloudOptions, "elb" | "cluster" | "vpc">) {
    this.#elb = elb;
    this.#cluster = cluster;
    this.#vpc = vpc;
  }

  /**
   * Creates and adjusts the target groups of a service's listeners. Resolves with their ARNs by `groupKey`, and with
   * the ARNs of the service's other groups, which `removeOthers` deletes once no listener uses them. Throws Refused
   * when a name belongs to a group of another owner.
   */
  async ensure(
    { service, settings, nodes }: DesiredGroups,
    changes: Changes,
  ): Promise<{ arns: Map<string, string>; others: string[] }> {
    const { ours, foreign } = await this.#find(service.uid);
    const arns = new Map<string, string>();
    for (const listener of settings.listeners) {
      const name = this.#nameOf(service, listener);
      if (foreign.some((group) => group.TargetGroupName === name))
        throw new Refused(`the target group ${name} exists and does not belong to this cluster`);
      const existing = ours.find((group) => group.TargetGroupName === name);
      if (!existing) changes.add("balancer");
      const group = existing ?? (await this.#create(service, listener, settings.check));
      await this.#adjust(group, settings, changes);
      await this.#register(group.TargetGroupArn!, nodes, changes);
      arns.set(groupKey(listener), group.TargetGroupArn!);
    }
    const used = new Set(arns.values());
    const others = ours.map(({ TargetGroupArn = "" }) => TargetGroupArn).filter((arn) => !used.has(arn));
    return { arns, others };
  }

  async removeOthers(others: readonly string[], changes: Changes): Promise<void> {
    for (const TargetGroupArn of others) {
      changes.add("balancer");
      await this.#elb.send(new DeleteTargetGroupCommand({ TargetGroupArn }));
    }
  }

  /** Deletes a service's groups. Resolves with true once none is left. */
  async remove(uid: string): Promise<boolean> {
    const { ours } = await this.#find(uid);
    let isGone = true;
    for (const group of ours) isGone = (await this.#delete(group)) && isGone;
    return isGone;
  }

  #nameOf({ uid }: ServiceRef, { protocol, nodePort }: Listener): string {
    return groupName(this.#cluster, { uid, protocol, nodePort });
  }

  /** The groups with the names of a service, by whether their tags are the cluster's. */
  async #find(uid: string): Promise<{ ours: TargetGroup[]; foreign: TargetGroup[] }> {
    const prefix = groupPrefix(this.#cluster, uid);
    const named: TargetGroup[] = [];
    for (let Marker: string | undefined; ; ) {
      const page = await this.#elb.send(
        new DescribeTargetGroupsCommand({ PageSize: 400, ...(Marker ? { Marker } : {}) }),
      );
      named.push(...(page.TargetGroups ?? []).filter((group) => group.TargetGroupName?.startsWith(prefix)));
      Marker = page.NextMarker;
      if (!Marker) break;
    }
    const arns = named.map(({ TargetGroupArn = "" }) => TargetGroupArn);
    const tags = await tagsIn(this.#elb, arns);
    const isOurs = ({ TargetGroupArn = "" }: TargetGroup) =>
      isMarked(tags.get(TargetGroupArn) ?? {}, this.#cluster, uid);
    return { ours: named.filter(isOurs), foreign: named.filter((group) => !isOurs(group)) };
  }

  async #create(service: ServiceRef, listener: Listener, check: HealthCheck): Promise<TargetGroup> {
    const answer = await this.#elb.send(
      new CreateTargetGroupCommand({
        Name: this.#nameOf(service, listener),
        Protocol: listener.protocol,
        Port: listener.nodePort,
        VpcId: this.#vpc,
        TargetType: "instance",
        ...checkInput(check),
        Tags: tagList(tagsOf(this.#cluster, service)),
      }),
    );
    return answer.TargetGroups![0]!;
  }

  async #adjust(group: TargetGroup, { check, attributes }: Settings, changes: Changes): Promise<void> {
    const { TargetGroupArn } = group;
    if (!isChecked(group, check)) {
      await this.#elb.send(new ModifyTargetGroupCommand({ TargetGroupArn, ...checkInput(check) }));
      changes.add("balancer");
    }
    const { Attributes = [] } = await this.#elb.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn }));
    const has = new Map(Attributes.map(({ Key, Value }) => [Key, Value]));
    const differing = Object.entries(attributes).filter(([key, value]) => has.get(key) !== value);
    if (differing.length === 0) return;
    const desired = differing.map(([Key, Value]) => ({ Key, Value }));
    await this.#elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes: desired }));
    changes.add("balancer");
  }

  async #register(TargetGroupArn: string, nodes: readonly string[], changes: Changes): Promise<void> {
    const { TargetHealthDescriptions = [] } = await this.#elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
    const targets = TargetHealthDescriptions.filter(({ TargetHealth }) => TargetHealth?.State !== "draining");
    const has = new Set(targets.map(({ Target }) => Target?.Id ?? ""));
    const desired = new Set(nodes);
    const [missing, surplus] = [[...desired.difference(has)], [...has.difference(desired)]];
    if (missing.length + surplus.length > 0) changes.add("nodes");
    const input = (ids: string[]) => ({ TargetGroupArn, Targets: ids.map((Id) => ({ Id })) });
    if (missing.length > 0) await this.#elb.send(new RegisterTargetsCommand(input(missing)));
    if (surplus.length > 0) await this.#elb.send(new DeregisterTargetsCommand(input(surplus)));
  }

  /** False while a load balancer that is being deleted holds the group. */
  async #delete({ TargetGroupArn }: TargetGroup): Promise<boolean> {
    try {
      await this.#elb.send(new DeleteTargetGroupCommand({ TargetGroupArn }));
      return true;
    } catch (error) {
      if (isCode(error, "ResourceInUse")) return false;
      throw error;
    }
  }
}
