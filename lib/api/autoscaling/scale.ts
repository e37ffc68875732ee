import type * as z from "zod";
import {
  ageColumn,
  checkNonNegative,
  defineKind,
  int32,
  message,
  metadataField,
  nameColumn,
  optional,
  required,
  string,
} from "../meta/index.ts";

export const ScaleSpec = message("io.k8s.api.autoscaling.v1.ScaleSpec", () => ({
  replicas: optional(1, int32, "Desired number."),
}));
export type ScaleSpec = z.infer<typeof ScaleSpec>;

export const ScaleStatus = message("io.k8s.api.autoscaling.v1.ScaleStatus", () => ({
  replicas: required(1, int32, "How many there are."),
  selector: optional(2, string, "The pods' selector as text."),
}));
export type ScaleStatus = z.infer<typeof ScaleStatus>;

export const Scale = message("io.k8s.api.autoscaling.v1.Scale", () => ({
  metadata: metadataField(),
  spec: optional(2, ScaleSpec, "Desired number of replicas.", { printed: true }),
  status: optional(3, ScaleStatus, "Observed number of replicas.", { printed: true }),
}));
export type Scale = z.infer<typeof Scale>;

/** Desired and current replicas, for scale subresources. It is never stored. */
export const scales = defineKind<Scale>({
  group: "autoscaling",
  version: "v1",
  kind: "Scale",
  plural: "scales",
  singular: "scale",
  scope: "Namespaced",
  schema: Scale,
  internal: true,
  validate: ({ spec }) => checkNonNegative("spec.replicas", spec?.replicas),
  columns: [
    nameColumn,
    { name: "Desired", type: "integer", doc: "Desired number.", value: ({ spec }) => spec?.replicas ?? 0 },
    { name: "Available", type: "integer", doc: "How many there are.", value: ({ status }) => status?.replicas ?? 0 },
    ageColumn,
  ],
});
