import type * as z from "zod";
import { boolean, fieldsV1, int64, list, map, message, optional, required, string, time } from "./field.ts";

const meta = "io.k8s.apimachinery.pkg.apis.meta.v1";

export const OwnerReference = message(
  `${meta}.OwnerReference`,
  () => ({
    apiVersion: required(5, string, "Group and version of the owner."),
    kind: required(1, string, "Kind of the owner."),
    name: required(3, string, "Name of the owner."),
    uid: required(4, string, "Uid of the owner; this decides, not the name."),
    controller: optional(6, boolean, "Whether the owner is the managing controller.", { isPointer: true }),
    blockOwnerDeletion: optional(7, boolean, "Whether a foreground deletion of the owner waits for this object.", {
      isPointer: true,
    }),
  }),
  { atomic: true },
);
export type OwnerReference = z.infer<typeof OwnerReference>;

export const ManagedFieldsEntry = message(`${meta}.ManagedFieldsEntry`, () => ({
  manager: optional(1, string, "The manager of these fields."),
  operation: optional(2, string, "Operation that set the fields: Apply or Update."),
  apiVersion: optional(3, string, "API version of the fields."),
  time: optional(4, time, "When the manager last changed its set of fields."),
  fieldsType: optional(6, string, "The format of the field set: FieldsV1."),
  fieldsV1: optional(7, fieldsV1, "The set of fields."),
  subresource: optional(8, string, "The subresource through which the fields were written."),
}));
export type ManagedFieldsEntry = z.infer<typeof ManagedFieldsEntry>;

export const ObjectMeta = message(`${meta}.ObjectMeta`, () => ({
  name: optional(1, string, "Name, unique among the objects of the kind in the namespace."),
  generateName: optional(2, string, "Prefix of the name that the server generates if `name` is empty."),
  namespace: optional(3, string, "Namespace of the object."),
  selfLink: optional(4, string, "No longer set."),
  uid: optional(5, string, "Unique in time and space; set by the server."),
  resourceVersion: optional(6, string, "Changes with each write; comparable as a number within a resource type."),
  generation: optional(7, int64, "Sequence number of the desired state."),
  creationTimestamp: optional(8, time, "When the server created the object."),
  deletionTimestamp: optional(9, time, "When the object is to be deleted; set by the server at a graceful deletion."),
  deletionGracePeriodSeconds: optional(10, int64, "Grace period in seconds.", {
    isPointer: true,
  }),
  labels: optional(11, map(string), "Key and value pairs that selectors match."),
  annotations: optional(12, map(string), "Key and value pairs that are stored for tools and not used by selectors."),
  ownerReferences: optional(13, list(OwnerReference), "The objects that this one depends on.", {
    list: "map",
    keys: ["uid"],
    mergeKey: "uid",
  }),
  finalizers: optional(14, list(string), "Components that must finish before the object is deleted.", {
    list: "set",
    merge: true,
  }),
  managedFields: optional(17, list(ManagedFieldsEntry), "The fields that each manager has set.", { list: "atomic" }),
}));
export type ObjectMeta = z.infer<typeof ObjectMeta>;

export const ListMeta = message(`${meta}.ListMeta`, () => ({
  selfLink: optional(1, string, "No longer set."),
  resourceVersion: optional(2, string, "The revision of the snapshot."),
  continue: optional(3, string, "Token that requests the next items of the same snapshot."),
  remainingItemCount: optional(4, int64, "Number of items after these.", { isPointer: true }),
}));
export type ListMeta = z.infer<typeof ListMeta>;

export const LabelSelectorRequirement = message(`${meta}.LabelSelectorRequirement`, () => ({
  key: required(1, string, "The label's key."),
  operator: required(2, string, "In, NotIn, Exists or DoesNotExist."),
  values: optional(3, list(string), "Values for In and NotIn.", { list: "atomic" }),
}));
export type LabelSelectorRequirement = z.infer<typeof LabelSelectorRequirement>;

export const LabelSelector = message(
  `${meta}.LabelSelector`,
  () => ({
    matchLabels: optional(1, map(string), "Labels that an object must have with these values."),
    matchExpressions: optional(2, list(LabelSelectorRequirement), "Requirements that must all hold.", {
      list: "atomic",
    }),
  }),
  { atomic: true },
);
export type LabelSelector = z.infer<typeof LabelSelector>;

export const Condition = message(`${meta}.Condition`, () => ({
  type: required(1, string, "What the condition is about, in CamelCase."),
  status: required(2, string, "True, False or Unknown."),
  observedGeneration: optional(3, int64, "The generation that the condition was set for."),
  lastTransitionTime: required(4, time, "When the status last changed."),
  reason: required(5, string, "Machine-readable reason, in CamelCase."),
  message: required(6, string, "Human-readable message."),
}));
export type Condition = z.infer<typeof Condition>;

/** What every object has. Objects in memory carry apiVersion and kind only at the edges, never in the store. */
export interface KubernetesObject {
  apiVersion?: string | undefined;
  kind?: string | undefined;
  metadata: ObjectMeta;
}

/** The `metadata` field of a kind: a client may leave it out, the decoder's callers put it there. */
export const metadataField = (doc = "Name, namespace, labels and the like."): typeof ObjectMeta =>
  optional(1, ObjectMeta, doc) as unknown as typeof ObjectMeta;
