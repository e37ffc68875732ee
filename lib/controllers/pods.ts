import { type Kind, type KubernetesObject, type Pod, type PodTemplateSpec, pods } from "#api";
import { clone, isReason, messageOf, parseTime } from "#base";
import type { ControllerContext } from "#reconcile";
import { controllerReference } from "./ownership.ts";

/** Neither ended nor being deleted. */
export const isActive = ({ metadata, status }: Pod): boolean =>
  !metadata.deletionTimestamp && status?.phase !== "Succeeded" && status?.phase !== "Failed";

export const readyCondition = ({ status }: Pod) => status?.conditions?.find(({ type }) => type === "Ready");
export const isReady = (pod: Pod): boolean => readyCondition(pod)?.status === "True";

/** Milliseconds until a ready pod counts as available: 0 when it does, undefined while it is not ready. */
export function availableIn(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  const condition = readyCondition(pod);
  if (condition?.status !== "True") return undefined;
  if (minReadySeconds === 0) return 0;
  const since = condition.lastTransitionTime === undefined ? now : parseTime(condition.lastTransitionTime);
  return Math.max(0, since + minReadySeconds * 1000 - now);
}

interface Making {
  context: ControllerContext;
  /** Who makes the pods. */
  kind: Kind;
  owner: KubernetesObject;
  template: PodTemplateSpec;
  /** How the pod's name begins, where not with the owner's. */
  generateName?: string;
}

/** A pod as a template asks for it, owned by who makes it. */
export function podOf({ kind, owner, template, generateName }: Omit<Making, "context">): Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    metadata: {
      // Upstream leaves the dash away where it would make the name invalid.
      generateName: generateName ?? `${owner.metadata.name}-`,
      namespace: owner.metadata.namespace,
      ...(labels ? { labels: { ...labels } } : {}),
      ...(annotations ? { annotations: { ...annotations } } : {}),
      ...(finalizers ? { finalizers: [...finalizers] } : {}),
      ownerReferences: [controllerReference(kind, owner)],
    },
    spec: clone(template.spec),
  } as Pod;
}

/** Makes one pod and tells of it. Throws what the API refused with; a namespace that is going ends it silently. */
export async function createPod(making: Making): Promise<Pod | undefined> {
  const { context, kind, owner } = making;
  try {
    const made = await context.client.create(pods, podOf(making));
    context.record({ kind, object: owner }, "Normal", "SuccessfulCreate", `Created pod: ${made.metadata.name}`);
    return made;
  } catch (error) {
    if (isTerminating(error)) return undefined;
    context.record({ kind, object: owner }, "Warning", "FailedCreate", `Error creating: ${messageOf(error)}`);
    throw error;
  }
}

const isTerminating = (error: unknown): boolean =>
  isReason(error, "Forbidden") && messageOf(error).includes("because it is being terminated");

/** Deletes one pod and tells of it; one that is gone already is as good. */
export async function deletePod({ context, kind, owner }: Omit<Making, "template">, pod: Pod): Promise<void> {
  const { namespace, name = "", uid } = pod.metadata;
  try {
    await context.client.remove(pods, { namespace, name }, { uid });
    context.record({ kind, object: owner }, "Normal", "SuccessfulDelete", `Deleted pod: ${name}`);
  } catch (error) {
    if (isReason(error, "NotFound") || isReason(error, "Conflict")) return;
    context.record({ kind, object: owner }, "Warning", "FailedDelete", `Error deleting: ${messageOf(error)}`);
    throw error;
  }
}

/**
 * Runs `count` steps in batches of 1, 2, 4 …: where the first one is refused, the others are not tried. Returns how
 * many went well, and what the first failure was.
 */
export async function slowStart(
  count: number,
  step: (index: number) => Promise<unknown>,
): Promise<{ done: number; error?: unknown }> {
  let done = 0;
  for (let batch = 1; done < count; batch *= 2) {
    const size = Math.min(batch, count - done);
    const results = await Promise.allSettled(Array.from({ length: size }, (_, index) => step(done + index)));
    const failed = results.find((result) => result.status === "rejected");
    done += results.filter((result) => result.status === "fulfilled").length;
    if (failed) return { done, error: (failed as PromiseRejectedResult).reason };
  }
  return { done };
}
