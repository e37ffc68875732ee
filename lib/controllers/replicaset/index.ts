/** Maintains the desired number of pods of a ReplicaSet (upstream's replicaset controller). */
import {
  controllerOf,
  findCondition,
  type Pod,
  pods,
  type ReplicaSet,
  replicaSets,
  requirementsOf,
  setCondition,
} from "#api";
import { deepEqual, ignoreNotFound, ignoreReasons, messageOf } from "#base";
import {
  adoptersOf,
  availableIn,
  claim,
  createPod,
  deletePod,
  inRankedDeletionOrder,
  isActive,
  isReady,
  isTerminating,
  nonZero,
  slowStart,
} from "#controllers/workload";
import { type ControllerContext, defineController, type Key, type Result, watching } from "#reconcile";

/** The most pods that one reconcile creates or deletes. */
const burst = 500;

export const replicaSetController = defineController<ReplicaSet>({
  name: "replicaset",
  for: replicaSets,
  owns: [pods],
  watches: [watching<Pod>(pods, ({ object }, { client }) => adoptersOf(client, replicaSets, object))],
  reconcile,
});

async function reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> {
  const { client } = context;
  const set = await ignoreNotFound(client.get(replicaSets, key));
  if (!set?.spec) return undefined;
  const selector = requirementsOf(set.spec.selector ?? {});
  const claimed = await claim<Pod>({ client, kind: replicaSets, owner: set, dependents: pods, selector });
  const active = claimed.filter(isActive);
  let failure: unknown;
  let current = active;
  if (!set.metadata.deletionTimestamp) ({ pods: current, failure } = await manage(context, set, active));
  const terminating = claimed.filter(isTerminating).length;
  const requeueAfter = await writeStatus(context, set, { active: current, terminating, failure });
  if (failure !== undefined) throw failure;
  return requeueAfter === undefined ? undefined : { requeueAfter };
}

async function manage(
  context: ControllerContext,
  set: ReplicaSet,
  active: Pod[],
): Promise<{ pods: Pod[]; failure?: unknown }> {
  const wanted = set.spec?.replicas ?? 1;
  const missing = wanted - active.length;
  const by = { context, kind: replicaSets, owner: set };
  if (missing > 0) {
    const made: Pod[] = [];
    const template = set.spec!.template!;
    const result = await slowStart(Math.min(missing, burst), async () => {
      const pod = await createPod(by, template);
      if (pod) made.push(pod);
    });
    // Beyond a burst, the created pods trigger the next reconcile.
    return { pods: [...active, ...made], ...(result.error === undefined ? {} : { failure: result.error }) };
  }
  if (missing === 0) return { pods: active };
  const related = await relatedPods(context, set, active);
  const doomed = inRankedDeletionOrder(active, related, context.clock.now()).slice(0, Math.min(-missing, burst));
  const results = await Promise.allSettled(doomed.map((pod) => deletePod(by, pod)));
  const failed = results.find((result) => result.status === "rejected");
  const rest = active.filter((pod) => !doomed.includes(pod));
  return { pods: rest, ...(failed ? { failure: (failed as PromiseRejectedResult).reason } : {}) };
}

/** Active pods of all ReplicaSets of the same Deployment: deletion spreads the rest over the nodes. */
async function relatedPods({ client }: ControllerContext, set: ReplicaSet, active: Pod[]): Promise<Pod[]> {
  const owner = controllerOf(set);
  if (!owner) return active;
  const { namespace } = set.metadata;
  const siblings = (await client.list(replicaSets, { namespace, owner: owner.uid })).items;
  const lists = await Promise.all(
    siblings.map(({ metadata }) => client.list(pods, { namespace, owner: metadata.uid ?? "" })),
  );
  return lists.flatMap(({ items }) => items).filter(isActive);
}

/** What the status is computed from. */
interface Observed {
  active: readonly Pod[];
  terminating: number;
  /** The first failure to create or delete a pod. */
  failure: unknown;
}

/**
 * Writes the status if it differs. Returns the milliseconds until the next pod becomes available without a further
 * change, if any.
 */
async function writeStatus(
  { client, clock }: ControllerContext,
  set: ReplicaSet,
  { active, terminating, failure }: Observed,
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
    // The generation is that of the object that was read: a newer one is reconciled next.
    await ignoreReasons(
      ["NotFound", "Conflict"],
      client.update(replicaSets, { ...set, status }, { subresource: "status" }),
    );
  }
  const later = waits.filter((wait) => wait > 0);
  return later.length > 0 ? Math.min(...later) : undefined;
}

const labelled = (template: ReturnType<typeof requirementsOf>, { metadata }: Pod): boolean =>
  template.every(({ key, values }) => metadata.labels?.[key] === values[0]);

/** As upstream, the first failure stays until none is left: a condition that changes would wake this set past its backoff. */
function conditionsOf(set: ReplicaSet, failure: unknown, active: number, now: number) {
  const conditions = set.status?.conditions ?? [];
  const before = findCondition(conditions, "ReplicaFailure");
  if (failure !== undefined && before) return { conditions };
  if (failure === undefined) {
    const others = conditions.filter((condition) => condition !== before);
    return others.length > 0 ? { conditions: others } : {};
  }
  const reason = active < (set.spec?.replicas ?? 1) ? "FailedCreate" : "FailedDelete";
  const condition = { type: "ReplicaFailure", status: "True", reason, message: messageOf(failure) };
  return { conditions: setCondition(conditions, condition, now) };
}
