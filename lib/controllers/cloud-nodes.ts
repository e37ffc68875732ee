import { findCondition, type Node } from "#api";
import { parseTime } from "#base";
import type { Cloud, Instance } from "#cloud";
import type { ControllerContext } from "#reconcile";

/** A cloud shows an instance everywhere after so long, at the most. */
const showing = 5 * 60_000;
const lookAgain = 30_000;

/** Nodes of a cluster in a cloud. */
export interface CloudNodes {
  /** Those that are instances, and their instances. */
  found: Map<string, { node: Node; instance: Instance }>;
  /** When to look again, since a node may be an instance that the cloud does not show yet. */
  again?: number;
}

/** The status of its Ready condition: an instance that stops or starts again changes it. */
export const readiness = ({ status }: Node): string | undefined => findCondition(status?.conditions, "Ready")?.status;

/** Which nodes are instances. Others, such as one that stands for tasks, are left to themselves. */
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
    else isYoung ||= parseTime(creationTimestamp) + showing > clock.now();
  }
  return isYoung ? { found, again: lookAgain } : { found };
}
