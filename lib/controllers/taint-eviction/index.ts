/**
 * Evicts pods that do not tolerate the taints of their nodes, and deletes pods of nodes that are gone (upstream's
 * taint-eviction controller and pod garbage collector).
 */
import {
  findCondition,
  hasEnded,
  type Node,
  nodes,
  type Pod,
  type PodCondition,
  pods,
  type Taint,
  toleratesTaint,
  withTransitionTime,
} from "#api";
import { deepEqual, formatTime, ignoreNotFound, ignoreReasons, parseTime } from "#base";
import { type Controller, type ControllerContext, defineController, type Key, type Result, watching } from "#reconcile";

/** Milliseconds during which a deleted node may be registered again before its pods are deleted. */
const gracePeriod = 40_000;
/** Since when a pod's node has been missing. Upstream keeps it in memory, which a function does not have. */
const missedSince = "skiff.dev/node-missed-since";

export function taintEvictionController(): Controller<Pod> {
  return defineController<Pod>({
    name: "taint-eviction",
    for: pods,
    concerns: ({ type, object, previous }) =>
      type !== "DELETED" &&
      object.spec?.nodeName !== undefined &&
      (previous?.spec?.nodeName !== object.spec.nodeName ||
        !deepEqual(previous.spec.tolerations, object.spec.tolerations)),
    watches: [
      watching<Node>(nodes, async ({ type, object, previous }, { client }) => {
        if (type !== "DELETED" && deepEqual(noExecuteTaints(object), previous ? noExecuteTaints(previous) : []))
          return [];
        const value = object.metadata.name ?? "";
        const { items } = await client.list(pods, { fields: [{ field: "spec.nodeName", equal: true, value }] });
        return items.map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name ?? "" }));
      }),
    ],
    reconcile: syncPod,
  });
}

/** When the pod's node was first missing: from the annotation, else now, which is then written. */
async function missingSince(context: ControllerContext, pod: Pod): Promise<number> {
  const noted = parseTime(pod.metadata.annotations?.[missedSince] ?? "");
  if (!Number.isNaN(noted)) return noted;
  const now = context.clock.now();
  await annotate(context, pod, formatTime(now));
  return now;
}

async function annotate({ client }: ControllerContext, pod: Pod, value: string | null): Promise<void> {
  const { namespace, name = "", uid } = pod.metadata;
  const patch = { metadata: { uid, annotations: { [missedSince]: value } } };
  await ignoreReasons(["NotFound", "Conflict"], client.patch(pods, { namespace, name }, patch, { type: "merge" }));
}

const noExecuteTaints = ({ spec }: Node): Taint[] => spec?.taints?.filter(({ effect }) => effect === "NoExecute") ?? [];

async function syncPod(context: ControllerContext, key: Key): Promise<Result | undefined> {
  const { client, clock } = context;
  const pod = await ignoreNotFound(client.get(pods, key));
  const name = pod?.spec?.nodeName;
  if (!pod || !name) return undefined;
  const node = await ignoreNotFound(client.get(nodes, { name }));
  if (!node) {
    const since = await missingSince(context, pod);
    if (clock.now() - since < gracePeriod) return { requeueAfter: since + gracePeriod - clock.now() };
    await removeOrphan(context, pod);
    return undefined;
  }
  if (pod.metadata.annotations?.[missedSince] !== undefined) await annotate(context, pod, null);
  if (pod.metadata.deletionTimestamp) return undefined;
  const left = remainingToleration(pod, noExecuteTaints(node), clock.now());
  if (left === undefined) return undefined;
  if (left > 0) return { requeueAfter: left };
  await evict(context, pod);
  return undefined;
}

/** Milliseconds for which the pod still tolerates the taints; undefined without a limit. */
function remainingToleration(pod: Pod, taints: readonly Taint[], now: number): number | undefined {
  const remaining: number[] = [];
  for (const taint of taints) {
    const fitting = (pod.spec?.tolerations ?? []).filter((toleration) => toleratesTaint(toleration, taint));
    if (fitting.length === 0) return 0;
    const seconds = fitting.flatMap(({ tolerationSeconds }) =>
      tolerationSeconds === undefined ? [] : [Number(tolerationSeconds)],
    );
    if (seconds.length === 0) continue;
    const since = taint.timeAdded === undefined ? now : parseTime(taint.timeAdded);
    remaining.push(Math.max(0, since + Math.max(0, Math.min(...seconds)) * 1000 - now));
  }
  return remaining.length > 0 ? Math.min(...remaining) : undefined;
}

async function evict(context: ControllerContext, pod: Pod): Promise<void> {
  const { namespace, name = "", uid } = pod.metadata;
  const message = "Taint manager: deleting due to NoExecute taint";
  await setDisruptionTarget(context, pod, { reason: "DeletionByTaintManager", message });
  await ignoreReasons(["NotFound", "Conflict"], context.client.delete(pods, { namespace, name }, { uid }));
  const about = { kind: pods, object: pod };
  context.record(about, "Normal", "TaintManagerEviction", `Marking for deletion Pod ${namespace}/${name}`);
}

/** Deletes a pod without a node at once: no kubelet can end it, so it counts as failed. */
async function removeOrphan(context: ControllerContext, pod: Pod): Promise<void> {
  const { namespace, name = "", uid } = pod.metadata;
  const why = { reason: "DeletionByPodGC", message: "PodGC: node no longer exists" };
  if (!hasEnded(pod)) await setDisruptionTarget(context, pod, why, { phase: "Failed" });
  const how = { uid, gracePeriodSeconds: 0 };
  await ignoreReasons(["NotFound", "Conflict"], context.client.delete(pods, { namespace, name }, how));
}

/**
 * Sets the pod's DisruptionTarget condition before the pod is deleted; after a crash in between it is reconciled again.
 */
async function setDisruptionTarget(
  { client, clock }: ControllerContext,
  pod: Pod,
  update: Pick<PodCondition, "reason" | "message">,
  more: object = {},
): Promise<void> {
  const { namespace, name = "", uid } = pod.metadata;
  const type = "DisruptionTarget";
  const before = findCondition(pod.status?.conditions, type);
  if (before?.status === "True" && before.reason === update.reason && Object.keys(more).length === 0) return;
  const condition = withTransitionTime(before, { type, status: "True", ...update }, clock.now());
  const patch = { metadata: { uid }, status: { ...more, conditions: [condition] } };
  const how = { type: "strategic", subresource: "status" } as const;
  await ignoreReasons(["NotFound", "Conflict"], client.patch(pods, { namespace, name }, patch, how));
}
