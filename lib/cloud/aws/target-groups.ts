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
import { type Balancing, Refused } from "#cloud";
import { isCode } from "./errors.ts";
import { groupName, groupPrefix, isMarked, tagList, tagsOf } from "./names.ts";
import type { AwsCloudOptions } from "./options.ts";
import type { HealthCheck, Listener, Settings } from "./settings.ts";
import { type Changes, tagsIn } from "./tags.ts";

/** Where a target group stands: one for each protocol and node port of a service. */
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

/** The target groups of a service, and in them its nodes. */
export function targetGroups({ elb, cluster, vpc }: AwsCloudOptions) {
  /** Those whose names say that they are the service's; whether they are is in their tags. */
  const find = async (uid: string): Promise<{ ours: TargetGroup[]; foreign: TargetGroup[] }> => {
    const named: TargetGroup[] = [];
    for (let Marker: string | undefined; ; ) {
      const page = await elb.send(new DescribeTargetGroupsCommand({ PageSize: 400, ...(Marker ? { Marker } : {}) }));
      for (const group of page.TargetGroups ?? [])
        if (group.TargetGroupName?.startsWith(groupPrefix(cluster, uid))) named.push(group);
      Marker = page.NextMarker;
      if (!Marker) break;
    }
    const tags = await tagsIn(
      elb,
      named.map(({ TargetGroupArn = "" }) => TargetGroupArn),
    );
    const isOurs = ({ TargetGroupArn = "" }: TargetGroup) => isMarked(tags.get(TargetGroupArn) ?? {}, cluster, uid);
    return { ours: named.filter(isOurs), foreign: named.filter((group) => !isOurs(group)) };
  };

  const create = async (service: Balancing, listener: Listener, check: HealthCheck): Promise<TargetGroup> => {
    const answer = await elb.send(
      new CreateTargetGroupCommand({
        Name: groupName(cluster, service.uid, listener.protocol, listener.nodePort),
        Protocol: listener.protocol,
        Port: listener.nodePort,
        VpcId: vpc,
        TargetType: "instance",
        ...checkInput(check),
        Tags: tagList(tagsOf(cluster, service)),
      }),
    );
    return answer.TargetGroups![0]!;
  };

  const adjust = async (group: TargetGroup, { check, attributes }: Settings, changes: Changes): Promise<void> => {
    const { TargetGroupArn } = group;
    if (!isChecked(group, check)) {
      await elb.send(new ModifyTargetGroupCommand({ TargetGroupArn, ...checkInput(check) }));
      changes.add("balancer");
    }
    const { Attributes = [] } = await elb.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn }));
    const has = new Map(Attributes.map(({ Key, Value }) => [Key, Value]));
    const differing = Object.entries(attributes).filter(([key, value]) => has.get(key) !== value);
    if (differing.length === 0) return;
    const wanted = differing.map(([Key, Value]) => ({ Key, Value }));
    await elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes: wanted }));
    changes.add("balancer");
  };

  const register = async (TargetGroupArn: string, nodes: readonly string[], changes: Changes): Promise<void> => {
    const { TargetHealthDescriptions = [] } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
    const has = new Set(
      TargetHealthDescriptions.filter(({ TargetHealth }) => TargetHealth?.State !== "draining").map(
        ({ Target }) => Target?.Id ?? "",
      ),
    );
    const wanted = new Set(nodes);
    const [missing, over] = [[...wanted.difference(has)], [...has.difference(wanted)]];
    if (missing.length + over.length > 0) changes.add("nodes");
    const targets = (ids: string[]) => ({ TargetGroupArn, Targets: ids.map((Id) => ({ Id })) });
    if (missing.length > 0) await elb.send(new RegisterTargetsCommand(targets(missing)));
    if (over.length > 0) await elb.send(new DeregisterTargetsCommand(targets(over)));
  };

  /** Whether it is gone; a load balancer that goes holds it for a while. */
  const drop = async ({ TargetGroupArn }: TargetGroup): Promise<boolean> => {
    try {
      await elb.send(new DeleteTargetGroupCommand({ TargetGroupArn }));
      return true;
    } catch (error) {
      if (isCode(error, "ResourceInUse")) return false;
      throw error;
    }
  };

  return {
    /** The ARNs of the groups that are wanted, by `groupKey`, and those of what is left of others. */
    async ensure(
      service: Balancing,
      settings: Settings,
      nodes: readonly string[],
      changes: Changes,
    ): Promise<{ arns: Map<string, string>; others: string[] }> {
      const { ours, foreign } = await find(service.uid);
      const arns = new Map<string, string>();
      for (const listener of settings.listeners) {
        const name = groupName(cluster, service.uid, listener.protocol, listener.nodePort);
        if (foreign.some((group) => group.TargetGroupName === name))
          throw new Refused(`${name} is there and does not belong to this cluster`);
        const there = ours.find((group) => group.TargetGroupName === name);
        if (!there) changes.add("balancer");
        const group = there ?? (await create(service, listener, settings.check));
        await adjust(group, settings, changes);
        await register(group.TargetGroupArn!, nodes, changes);
        arns.set(groupKey(listener), group.TargetGroupArn!);
      }
      const kept = new Set(arns.values());
      const others = ours.map(({ TargetGroupArn = "" }) => TargetGroupArn).filter((arn) => !kept.has(arn));
      return { arns, others };
    },

    async removeOthers(others: readonly string[], changes: Changes): Promise<void> {
      for (const TargetGroupArn of others) {
        changes.add("balancer");
        await elb.send(new DeleteTargetGroupCommand({ TargetGroupArn }));
      }
    },

    /** Resolves with whether nothing is left. */
    async remove(uid: string): Promise<boolean> {
      const { ours } = await find(uid);
      let gone = true;
      for (const group of ours) gone = (await drop(group)) && gone;
      return gone;
    },
  };
}
