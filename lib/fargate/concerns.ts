import { type Pod, pods, storageOf } from "#api";
import type { Work } from "#reconcile";
import type { Change } from "#store";
import { isFargateNode, work } from "./names.ts";
import { recordOf } from "./record.ts";

/** The event of a change in the pods' log. */
export type PodEvents = (change: Change) => { type: string; object: Pod; readonly previous?: Pod };

const podType = storageOf(pods);
const nodeOf = (index: { fields?: Readonly<Record<string, string>> | undefined } | undefined): string | undefined =>
  index?.fields?.["spec.nodeName"];

/**
 * The work that a change causes for the Fargate node, without any read: a pod was bound to it, is being deleted
 * (sooner), or was deleted, perhaps with a running task.
 */
export function fargateWork(type: string, change: Change, seen: PodEvents): Work[] {
  if (type !== podType || !isFargateNode(nodeOf(change.entry.index))) return [];
  const { object, previous } = seen(change);
  const { namespace, name = "", deletionTimestamp } = object.metadata;
  if (change.type === "delete") {
    const record = recordOf(object);
    return record && !record.stopped ? [{ controller: work.stop, key: { name: record.arn } }] : [];
  }
  const bound = !isFargateNode(nodeOf(change.previous?.index));
  if (!bound && deletionTimestamp === previous?.metadata.deletionTimestamp) return [];
  return [{ controller: work.pod, key: { namespace, name } }];
}
