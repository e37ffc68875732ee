import {
  CreateListenerCommand,
  DeleteListenerCommand,
  type Listener as Described,
  DescribeListenersCommand,
  ModifyListenerCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { ServiceRef } from "#cloud";
import { tagList, tagsOf } from "./names.ts";
import type { AwsCloudOptions } from "./options.ts";
import type { Settings } from "./settings.ts";
import type { Changes } from "./tags.ts";
import { groupKey } from "./target-groups.ts";

interface DesiredListeners {
  /** The load balancer's ARN. */
  balancer: string;
  service: ServiceRef;
  cluster: string;
  settings: Settings;
  /** Target groups by `groupKey`. */
  groups: ReadonlyMap<string, string>;
}

/** Makes a load balancer listen at exactly the ports of its settings. */
export async function ensureListeners(
  elb: AwsCloudOptions["elb"],
  { balancer: LoadBalancerArn, service, cluster, settings, groups }: DesiredListeners,
  changes: Changes,
): Promise<void> {
  const existing = await describe(elb, LoadBalancerArn);
  for (const listener of settings.listeners) {
    const { port: Port, protocol: Protocol } = listener;
    const TargetGroupArn = groups.get(groupKey(listener))!;
    const one = existing.find((each) => each.Port === Port);
    if (one?.Protocol === Protocol && targetOf(one) === TargetGroupArn) continue;
    changes.add("balancer");
    const DefaultActions = [{ Type: "forward" as const, TargetGroupArn }];
    if (one) {
      await elb.send(new ModifyListenerCommand({ ListenerArn: one.ListenerArn, Port, Protocol, DefaultActions }));
      continue;
    }
    const Tags = tagList(tagsOf(cluster, service));
    await elb.send(new CreateListenerCommand({ LoadBalancerArn, Port, Protocol, DefaultActions, Tags }));
  }
  const ports = new Set(settings.listeners.map(({ port }) => port));
  for (const { ListenerArn, Port = 0 } of existing) {
    if (ports.has(Port)) continue;
    changes.add("balancer");
    await elb.send(new DeleteListenerCommand({ ListenerArn }));
  }
}

const targetOf = ({ DefaultActions = [] }: Described): string | undefined =>
  DefaultActions[0]?.TargetGroupArn ?? DefaultActions[0]?.ForwardConfig?.TargetGroups?.[0]?.TargetGroupArn;

async function describe(elb: AwsCloudOptions["elb"], LoadBalancerArn: string): Promise<Described[]> {
  const found: Described[] = [];
  for (let Marker: string | undefined; ; ) {
    const page = await elb.send(new DescribeListenersCommand({ LoadBalancerArn, ...(Marker ? { Marker } : {}) }));
    found.push(...(page.Listeners ?? []));
    Marker = page.NextMarker;
    if (!Marker) return found;
  }
}
