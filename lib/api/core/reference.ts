import type * as z from "zod";
import { message, optional, required, string } from "../meta/index.ts";

export const ObjectReference = message(
  "io.k8s.api.core.v1.ObjectReference",
  () => ({
    kind: optional(1, string, "Kind of the object."),
    namespace: optional(2, string, "Namespace of the object."),
    name: optional(3, string, "Name of the object."),
    uid: optional(4, string, "Uid of the object."),
    apiVersion: optional(5, string, "Group and version of the object."),
    resourceVersion: optional(6, string, "Resource version of the object."),
    fieldPath: optional(7, string, "The part of the object that is meant, such as `spec.containers{web}`."),
  }),
  { atomic: true },
);
export type ObjectReference = z.infer<typeof ObjectReference>;

export const LocalObjectReference = message(
  "io.k8s.api.core.v1.LocalObjectReference",
  () => ({
    name: optional(1, string, "Name of the object, in the same namespace."),
  }),
  { atomic: true },
);
export type LocalObjectReference = z.infer<typeof LocalObjectReference>;

export const TypedLocalObjectReference = message(
  "io.k8s.api.core.v1.TypedLocalObjectReference",
  () => ({
    apiGroup: optional(1, string, "Group of the object; absent for the core group.", {
      printed: true,
      isPointer: true,
    }),
    kind: required(2, string, "Kind of the object."),
    name: required(3, string, "Name of the object, in the same namespace."),
  }),
  { atomic: true },
);
export type TypedLocalObjectReference = z.infer<typeof TypedLocalObjectReference>;

export const TypedObjectReference = message("io.k8s.api.core.v1.TypedObjectReference", () => ({
  apiGroup: optional(1, string, "Group of the object; absent for the core group.", { printed: true, isPointer: true }),
  kind: required(2, string, "Kind of the object."),
  name: required(3, string, "Name of the object."),
  namespace: optional(4, string, "Namespace of the object; the referring object's own when absent.", {
    isPointer: true,
  }),
}));
export type TypedObjectReference = z.infer<typeof TypedObjectReference>;
