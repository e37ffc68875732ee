import type * as z from "zod";
import { defineKind, message, metadataField, required } from "../meta/index.ts";
import { ObjectReference } from "./reference.ts";

export const Binding = message("io.k8s.api.core.v1.Binding", () => ({
  metadata: metadataField(),
  target: required(2, ObjectReference, "The node that the pod is bound to."),
}));
export type Binding = z.infer<typeof Binding>;

/** Binds a pod to a node; it is never stored. */
export const bindings = defineKind<Binding>({
  group: "",
  version: "v1",
  kind: "Binding",
  plural: "bindings",
  singular: "binding",
  scope: "Namespaced",
  schema: Binding,
  internal: true,
});
