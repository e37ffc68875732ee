import { apiVersionOf, type Kind } from "./kind.ts";
import type { KubernetesObject, OwnerReference } from "./object-meta.ts";

/** The reference of the controller that manages an object (apimachinery's GetControllerOf). */
export const controllerOf = ({ metadata }: Pick<KubernetesObject, "metadata">): OwnerReference | undefined =>
  metadata.ownerReferences?.find(({ controller }) => controller);

/** The reference to its owner that a controller puts into the objects it creates (apimachinery's NewControllerRef). */
export const controllerReference = (kind: Kind, owner: KubernetesObject): OwnerReference => ({
  apiVersion: apiVersionOf(kind),
  kind: kind.kind,
  name: owner.metadata.name ?? "",
  uid: owner.metadata.uid ?? "",
  controller: true,
  blockOwnerDeletion: true,
});
