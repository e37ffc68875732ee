import { controllerReference, type Kind, type KubernetesObject, type Pod, type PodTemplateSpec, pods } from "#api";
import { clone, hasCause, isReason, messageOf } from "#base";
import type { ControllerContext } from "#reconcile";

/** Of a DNS subdomain, in characters. */
const longestName = 253;

/** The object on whose behalf pods are created and deleted; events are recorded about it. */
export interface PodOwner {
  context: ControllerContext;
  kind: Kind;
  owner: KubernetesObject;
}

/** How a pod is named: completely, or by a prefix to which the server adds a suffix. */
export type PodName = { name: string } | { generateName: string };

/** Names that the server generates from this prefix have a dash, unless the name would be too long (getPodsPrefix). */
const prefixOf = (name: string): string => (name.length < longestName ? `${name}-` : name);

/**
 * A pod from a template, controlled by its owner (upstream's GetPodFromTemplate). The default name is generated from
 * the owner's name.
 */
export function podFromTemplate(
  { kind, owner }: Pick<PodOwner, "kind" | "owner">,
  template: PodTemplateSpec,
  name: PodName = { generateName: prefixOf(owner.metadata.name ?? "") },
): Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    metadata: {
      ...name,
      namespace: owner.metadata.namespace,
      ...(labels ? { labels: { ...labels } } : {}),
      ...(annotations ? { annotations: { ...annotations } } : {}),
      ...(finalizers ? { finalizers: [...finalizers] } : {}),
      ownerReferences: [controllerReference(kind, owner)],
    },
    spec: clone(template.spec),
  } as Pod;
}

/**
 * Creates one pod and records it. Rejects with the API's refusal, which is recorded too; resolves with undefined where
 * the namespace is being deleted.
 */
export async function createPod(by: PodOwner, template: PodTemplateSpec, name?: PodName): Promise<Pod | undefined> {
  const { context, kind, owner } = by;
  try {
    const created = await context.client.create(pods, podFromTemplate(by, template, name));
    context.record({ kind, object: owner }, "Normal", "SuccessfulCreate", `Created pod: ${created.metadata.name}`);
    return created;
  } catch (error) {
    if (hasCause(error, "NamespaceTerminating")) return undefined;
    context.record({ kind, object: owner }, "Warning", "FailedCreate", `Error creating: ${messageOf(error)}`);
    throw error;
  }
}

/** Deletes one pod and records it. Rejects with the API's refusal; a pod that has gone or was replaced is no error. */
export async function deletePod({ context, kind, owner }: PodOwner, pod: Pod): Promise<void> {
  const { namespace, name = "", uid } = pod.metadata;
  try {
    await context.client.delete(pods, { namespace, name }, { uid });
    context.record({ kind, object: owner }, "Normal", "SuccessfulDelete", `Deleted pod: ${name}`);
  } catch (error) {
    if (isReason(error, "NotFound") || isReason(error, "Conflict")) return;
    context.record({ kind, object: owner }, "Warning", "FailedDelete", `Error deleting: ${messageOf(error)}`);
    throw error;
  }
}

/**
 * Runs `count` steps in batches of 1, 2, 4 …; after a batch with a failure no further batch is started (upstream's
 * slowStartBatch). Resolves with the number of steps that succeeded and the first failure.
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
