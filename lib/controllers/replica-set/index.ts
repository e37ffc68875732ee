/** Keeps as many pods as a ReplicaSet asks for (upstream's replicaset controller). */
import { type Pod, pods, type ReplicaSet, replicaSets, requirementsOf } from "#api";
import { deepEqual, formatTime, messageOf } from "#base";
import { type ControllerContext, defineController, type Key, type Result, watching } from "#reconcile";
import { claim, ignoring } from "../ownership.ts";
import { availableIn, createPod, deletePod, isActive, isReady, slowStart } from "../pods.ts";
import { inDeletionOrder } from "./deletion-order.ts";
import { ownersOfOrphan } from "./orphans.ts";

/** As many pods as one reconcile makes or deletes. */
const burst = 500;

export const replicaSetController = defineController<ReplicaSet>({
  name: "replica-set",
  component: "replicaset-controller",
  for: replicaSets,
  owns: [pods],
  watches: [watching<Pod>(pods, ({ object }, { client }) => ownersOfOrphan(client, object))],
  reconcile,
});

async function reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> {
  const { client } = context;
  const set = await ignoring(["NotFound"], client.get(replicaSets, key));
  if (!set?.spec) return undefined;
  const selector = requirementsOf(set.spec.selector ?? {});
  const claimed = await claim<Pod>({ client, kind: replicaSets, owner: set, dependents: pods, selector });
  const active = claimed.filter(isActive);
  let failure: unknown;
  let current = active;
  if (!set.metadata.deletionTimestamp) ({ pods: current, failure } = await manage(context, set, active));
  const terminating = claimed.filter(
    ({ metadata, status }) => metadata.deletionTimestamp && !ended(status?.phase),
  ).length;
  const again = await writeStatus(context, set, current, terminating, failure);
  if (failure !== undefined) throw failure;
  return again === undefined ? undefined : { requeueAfter: again };
}

const ended = (phase: string | undefined): boolean => phase === "Succeeded" || phase === "Failed";

async function manage(
  context: ControllerContext,
  set: ReplicaSet,
  active: Pod[],
): Promise<{ pods: Pod[]; failure?: unknown }> {
  const wanted = set.spec?.replicas ?? 1;
  const missing = wanted - active.length;
  const making = { context, kind: replicaSets, owner: set };
  if (missing > 0) {
    const made: Pod[] = [];
    const template = set.spec!.template!;
    const result = await slowStart(Math.min(missing, burst), async () => {
      const pod = await createPod({ ...making, template });
      if (pod) made.push(pod);
    });
    // Beyond a burst, the pods that were made wake this set again.
    return { pods: [...active, ...made], ...(result.error === undefined ? {} : { failure: result.error }) };
  }
  if (missing === 0) return { pods: active };
  const related = await relatedPods(context, set, active);
  const doomed = inDeletionOrder(active, related, context.clock.now()).slice(0, Math.min(-missing, burst));
  const results = await Promise.allSettled(doomed.map((pod) => deletePod(making, pod)));
  const failed = results.find((result) => result.status === "rejected");
  const rest = active.filter((pod) => !doomed.includes(pod));
  return { pods: rest, ...(failed ? { failure: (failed as PromiseRejectedResult).reason } : {}) };
}

/** Pods of all ReplicaSets under the same Deployment: deletion evens them out over the nodes. */
async function relatedPods({ client }: ControllerContext, set: ReplicaSet, active: Pod[]): Promise<Pod[]> {
  const owner = set.metadata.ownerReferences?.find(({ controller }) => controller);
  if (!owner) return active;
  const { namespace } = set.metadata;
  const siblings = (await client.list(replicaSets, { namespace, owner: owner.uid })).items;
  const lists = await Promise.all(
    siblings.map(({ metadata }) => client.list(pods, { namespace, owner: metadata.uid ?? "" })),
  );
  return lists.flatMap(({ items }) => items).filter(isActive);
}

/** Writes the status if it differs; returns when the next pod becomes available, if one will by time alone. */
async function writeStatus(
  { client, clock }: ControllerContext,
  set: ReplicaSet,
  active: Pod[],
  terminating: number,
  failure: unknown,
): Promise<number | undefined> {
  const now = clock.now();
  const minReady = set.spec?.minReadySeconds ?? 0;
  const template = requirementsOf({ matchLabels: set.spec?.template?.metadata?.labels ?? {} });
  const waits = active.map((pod) => availableIn(pod, minReady, now)).filter((wait) => wait !== undefined);
  const status: NonNullable<ReplicaSet["status"]> = {
    replicas: active.length,
    ...nonZero("fullyLabeledReplicas", active.filter((pod) => labelled(template, pod)).length),
    ...nonZero("readyReplicas", active.filter(isReady).length),
    ...nonZero("availableReplicas", waits.filter((wait) => wait === 0).length),
    terminatingReplicas: terminating,
    observedGeneration: Number(set.metadata.generation ?? 0),
    ...conditionsOf(set, failure, active.length, now),
  };
  if (!deepEqual(status, set.status)) {
    // The generation is of the object that was read: a newer one will be looked at again.
    await ignoring(["NotFound", "Conflict"], client.update(replicaSets, { ...set, status }, { subresource: "status" }));
  }
  const later = waits.filter((wait) => wait > 0);
  return later.length > 0 ? Math.min(...later) : undefined;
}

const labelled = (template: ReturnType<typeof requirementsOf>, { metadata }: Pod): boolean =>
  template.every(({ key, values }) => metadata.labels?.[key] === values[0]);

const nonZero = <K extends string>(name: K, value: number) =>
  value === 0 ? {} : ({ [name]: value } as Record<K, number>);

function conditionsOf(set: ReplicaSet, failure: unknown, active: number, now: number) {
  const others = (set.status?.conditions ?? []).filter(({ type }) => type !== "ReplicaFailure");
  const before = set.status?.conditions?.find(({ type }) => type === "ReplicaFailure");
  if (failure === undefined) return others.length > 0 ? { conditions: others } : {};
  // The first failure stands: the next ones name other pods, and each write would wake this set past its backoff.
  if (before) return { conditions: set.status!.conditions };
  const reason = active < (set.spec?.replicas ?? 1) ? "FailedCreate" : "FailedDelete";
  const message = messageOf(failure);
  const made = { type: "ReplicaFailure", status: "True", reason, message, lastTransitionTime: formatTime(now) };
  return { conditions: [...others, made] };
}
