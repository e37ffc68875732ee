import { type Pod, pods, storageOf } from "#api";
import type { Work } from "#reconcile";
import type { Change } from "#store";
import { isFargateNode, work } from "./names.ts";
import { recordOf } from "./record.ts";

/** What a change of the pods' log means. */
export type PodEvents = (change: Change) => { type: string; object: Pod; readonly previous?: Pod };

const podType = storageOf(pods);
const nodeOf = (index: { fields?: Readonly<Record<string, string>> | undefined } | undefined): string | undefined =>
  index?.fields?.["spec.nodeName"];

/**
 * What a change means to the Fargate node, without reading anything: a pod was bound to it, is to be deleted (sooner),
 * or is gone, perhaps with a task that still runs.
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
