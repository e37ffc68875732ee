import type { KubernetesObject, ScaleSubresource } from "#api/meta";
import { clone, conflict } from "#base";
import { type Call, kindOf, named } from "./call.ts";
import { checkPreconditions } from "./retry.ts";
import { checkSent, updateObject } from "./update.ts";

export interface ScaleObject extends KubernetesObject {
  spec?: { replicas?: number };
  status?: { replicas: number; selector?: string };
}

type Scaled = ScaleSubresource<KubernetesObject>;

/** The scale of an object, in the form of autoscaling/v1. */
export function scaleOf(part: Scaled, object: KubernetesObject): ScaleObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = part.selector(object);
  const replicas = part.replicas(object);
  return {
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: part.statusReplicas(object), ...(selector === undefined ? {} : { selector }) },
  };
}

/**
 * Sets the replicas of an object by its scale subresource; `next` returns the scale that the client wants, from the
 * stored object. Throws ApiError 409 for a scale with another uid or resourceVersion.
 */
export async function updateScale(
  call: Call,
  part: Scaled,
  next: (current: KubernetesObject) => ScaleObject,
): Promise<ScaleObject> {
  const written = await updateObject(call, {
    preparedBy: "scale",
    next(current) {
      const scale = next(current);
      checkSent(call, scale);
      const { uid, resourceVersion } = scale.metadata;
      checkPreconditions(call, current, { uid: uid || undefined });
      if (resourceVersion && resourceVersion !== current.metadata.resourceVersion) {
        const why = "the object has been modified; please apply your changes to the latest version and try again";
        throw conflict(named(kindOf(call)), call.name, why);
      }
      const scaled = clone(current);
      part.setReplicas(scaled, scale.spec?.replicas ?? 0);
      return scaled;
    },
  });
  return scaleOf(part, written.object);
}
