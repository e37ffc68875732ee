/** Deletes the contents of a namespace that is being deleted, then finalizes it (upstream's namespace controller). */
import {
  findCondition,
  type Kind,
  type KubernetesObject,
  type Namespace,
  type NamespaceCondition,
  namespaces,
  pods,
  withTransitionTime,
} from "#api";
import { clone, deepEqual, ignoreNotFound, ignoreReasons, messageOf, parseTime } from "#base";
import { inOnePass, passEnd } from "#controllers/workload";
import { type ControllerContext, defineController, type Key, type Result } from "#reconcile";

const finalizer = "kubernetes";
/** Milliseconds until the remaining objects are checked again: the longer the deletion takes, the less often. */
const recheckAfter = (since: number): number => Math.min(60_000, Math.max(1000, Math.round(since / 10)));
/**
 * Writes that were admitted before the namespace's deletion timestamp have been committed after this many milliseconds:
 * until then an object may still be added to a namespace that was found empty. One second of it is for the timestamp,
 * which is rounded down.
 */
const admitted = 1500;

export const namespaceController = defineController<Namespace>({
  name: "namespace",
  for: namespaces,
  concerns: ({ object }) => object.metadata.deletionTimestamp !== undefined,
  reconcile,
});

/** Pods are deleted first, before their controllers notice and could replace them. */
const contents = ({ served }: ControllerContext): Kind[] => {
  const inside = served.kinds.filter(
    (kind) => kind.scope === "Namespaced" && !kind.stored && (kind.verbs ?? ["list"]).includes("list"),
  );
  return [pods as Kind, ...inside.filter((kind) => kind !== (pods as Kind))];
};

interface Left {
  kind: Kind;
  count: number;
  finalizers: Map<string, number>;
  /** Whether the pass ended before all objects were processed. */
  isCut: boolean;
}

async function reconcile(context: ControllerContext, key: Key): Promise<Result | undefined> {
  const { client, clock } = context;
  const namespace = await ignoreNotFound(client.get(namespaces, key));
  if (!namespace?.metadata.deletionTimestamp || !namespace.spec?.finalizers?.includes(finalizer)) return undefined;
  const since = clock.now() - parseTime(namespace.metadata.deletionTimestamp);
  const end = passEnd(clock);
  const left: Left[] = [];
  const failures: string[] = [];
  for (const kind of contents(context)) {
    const remaining = await empty(context, kind, key.name, end).catch((error: unknown) => {
      failures.push(messageOf(error));
      return undefined;
    });
    if (remaining) left.push(remaining);
    // Pods must be gone before the objects that they use.
    if (remaining?.isCut || (remaining && kind === (pods as Kind))) break;
  }
  if (left.length > 0 || failures.length > 0) {
    await writeConditions(context, namespace, left, failures);
    return { requeueAfter: recheckAfter(left.some(({ isCut }) => isCut) ? 0 : since) };
  }
  if (since < admitted) return { requeueAfter: admitted - since };
  if (await anythingLeft(context, key.name)) return { requeueAfter: recheckAfter(since) };
  const next = clone(namespace);
  next.spec = { ...next.spec, finalizers: next.spec!.finalizers!.filter((name) => name !== finalizer) };
  await ignoreReasons(["NotFound", "Conflict"], client.update(namespaces, next, { subresource: "finalize" }));
  return undefined;
}

/**
 * Deletes the objects of a kind, as many as one pass has time for. The objects that remain wait for finalizers, for
 * their grace period or for the next pass.
 */
async function empty(
  { client, clock }: ControllerContext,
  kind: Kind,
  namespace: string,
  end: number,
): Promise<Left | undefined> {
  const { items } = await client.list(kind, { namespace });
  let count = items.length;
  const finalizers = new Map<string, number>();
  const remove = async ({ metadata }: KubernetesObject): Promise<void> => {
    const { name = "", uid } = metadata;
    const stays = metadata.deletionTimestamp
      ? await ignoreNotFound(client.get(kind, { namespace, name }))
      : await ignoreReasons(
          ["NotFound", "Conflict"],
          client.delete(kind, { namespace, name }, { uid, propagation: "Background" }),
        );
    if (!stays) count--;
    for (const each of stays?.metadata.finalizers ?? []) finalizers.set(each, (finalizers.get(each) ?? 0) + 1);
  };
  const everyOne = await inOnePass(clock, items, remove, end);
  return count > 0 ? { kind, count, finalizers, isCut: !everyOne } : undefined;
}

async function anythingLeft(context: ControllerContext, namespace: string): Promise<boolean> {
  for (const kind of contents(context)) {
    const { items } = await context.client.list(kind, { namespace });
    if (items.length > 0) return true;
  }
  return false;
}

/** With a dot even without a group, as in upstream's messages. */
const resource = ({ group, plural }: Kind): string => `${plural}.${group}`;

/** Writes to the namespace's conditions what the deletion waits for. */
async function writeConditions(
  { client, clock }: ControllerContext,
  namespace: Namespace,
  left: readonly Left[],
  failures: readonly string[],
): Promise<void> {
  const now = clock.now();
  const kinds = left.map(({ kind, count }) => `${resource(kind)} has ${count} resource instances`).sort();
  const all = new Map<string, number>();
  for (const { finalizers } of left)
    for (const [name, count] of finalizers) all.set(name, (all.get(name) ?? 0) + count);
  const waiting = [...all].sort().map(([name, count]) => `${name} in ${count} resource instances`);
  const condition = (
    type: string,
    bad: string | undefined,
    reasons: [string, string],
    good: string,
  ): NamespaceCondition => {
    const [status, reason] = bad === undefined ? ["False", reasons[1]] : ["True", reasons[0]];
    const before = findCondition(namespace.status?.conditions, type);
    return withTransitionTime(before, { type, status, reason, message: bad ?? good }, now);
  };
  const conditions = [
    condition(
      "NamespaceDeletionDiscoveryFailure",
      undefined,
      ["DiscoveryFailed", "ResourcesDiscovered"],
      "All resources successfully discovered",
    ),
    condition(
      "NamespaceDeletionGroupVersionParsingFailure",
      undefined,
      ["GroupVersionParsingFailed", "ParsedGroupVersions"],
      "All legacy kube types successfully parsed",
    ),
    condition(
      "NamespaceDeletionContentFailure",
      failures.length > 0
        ? `Failed to delete all resource types, ${failures.length} remaining: ${failures.join(", ")}`
        : undefined,
      ["ContentDeletionFailed", "ContentDeleted"],
      "All content successfully deleted, may be waiting on finalization",
    ),
    condition(
      "NamespaceContentRemaining",
      kinds.length > 0 ? `Some resources are remaining: ${kinds.join(", ")}` : undefined,
      ["SomeResourcesRemain", "ContentRemoved"],
      "All content successfully removed",
    ),
    condition(
      "NamespaceFinalizersRemaining",
      waiting.length > 0 ? `Some content in the namespace has finalizers remaining: ${waiting.join(", ")}` : undefined,
      ["SomeFinalizersRemain", "ContentHasNoFinalizers"],
      "All content-preserving finalizers finished",
    ),
  ];
  const status = { ...namespace.status, conditions };
  if (deepEqual(status, namespace.status)) return;
  await ignoreReasons(
    ["NotFound", "Conflict"],
    client.update(namespaces, { ...namespace, status }, { subresource: "status" }),
  );
}
