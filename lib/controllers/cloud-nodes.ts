import { findCondition, type Node } from "#api";
import { parseTime } from "#base";
import type { Cloud, Instance } from "#cloud";
import type { ControllerContext } from "#reconcile";

/** The longest time, in milliseconds, until a new instance appears in all of the cloud's responses. */
const visibilityDelay = 5 * 60_000;
const recheckInterval = 30_000;

/** Nodes of a cluster in a cloud. */
export interface CloudNodes {
  /** Nodes that are instances, by name, with their instances. */
  found: Map<string, { node: Node; instance: Instance }>;
  /** Milliseconds until the next read; set while a new node may be an instance that the cloud does not return yet. */
  recheckAfter?: number;
}

/** The status of the Ready condition. It changes when an instance stops or starts. */
export const readiness = ({ status }: Node): string | undefined => findCondition(status?.conditions, "Ready")?.status;

/** Finds the nodes that are instances. Others, such as the node of Fargate tasks, are left out. */
export async function instancesOf(
  { clock }: ControllerContext,
  cloud: Cloud,
  list: readonly Node[],
): Promise<CloudNodes> {
  const instances = await cloud.instances(list.map(({ metadata }) => metadata.name ?? ""));
  const byName = new Map(instances.map((instance) => [instance.node, instance]));
  const found: CloudNodes["found"] = new Map();
  let isYoung = false;
  for (const node of list) {
    const { name = "", creationTimestamp = "" } = node.metadata;
    const instance = byName.get(name);
    if (instance) found.set(name, { node, instance });
    else isYoung ||= parseTime(creationTimestamp) + visibilityDelay > clock.now();
  }
  return isYoung ? { found, recheckAfter: recheckInterval } : { found };
}
