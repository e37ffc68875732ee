import type * as z from "zod";
import { int64, list, message, optional, required, string, time } from "../meta/index.ts";

export const NodeSelectorRequirement = message("io.k8s.api.core.v1.NodeSelectorRequirement", () => ({
  key: required(1, string, "Key of the node label."),
  operator: required(2, string, "In, NotIn, Exists, DoesNotExist, Gt or Lt.", {
    values: ["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"],
  }),
  values: optional(
    3,
    list(string),
    "What the label is compared with; one integer for Gt and Lt, none for Exists and DoesNotExist.",
    { list: "atomic" },
  ),
}));
export type NodeSelectorRequirement = z.infer<typeof NodeSelectorRequirement>;

export const NodeSelectorTerm = message(
  "io.k8s.api.core.v1.NodeSelectorTerm",
  () => ({
    matchExpressions: optional(1, list(NodeSelectorRequirement), "Requirements on the node's labels; all must hold.", {
      list: "atomic",
    }),
    matchFields: optional(
      2,
      list(NodeSelectorRequirement),
      "Requirements on the node's fields; only metadata.name is known.",
      { list: "atomic" },
    ),
  }),
  { atomic: true },
);
export type NodeSelectorTerm = z.infer<typeof NodeSelectorTerm>;

export const NodeSelector = message(
  "io.k8s.api.core.v1.NodeSelector",
  () => ({
    nodeSelectorTerms: required(1, list(NodeSelectorTerm), "Terms of which one must hold.", { list: "atomic" }),
  }),
  { atomic: true },
);
export type NodeSelector = z.infer<typeof NodeSelector>;

export const Taint = message("io.k8s.api.core.v1.Taint", () => ({
  key: required(1, string, "The taint's key, a qualified name."),
  value: optional(2, string, "The taint's value."),
  effect: required(3, string, "Effect on pods that do not tolerate it: NoSchedule, PreferNoSchedule or NoExecute.", {
    values: ["NoExecute", "NoSchedule", "PreferNoSchedule"],
  }),
  timeAdded: optional(4, time, "When a NoExecute taint was put on the node."),
}));
export type Taint = z.infer<typeof Taint>;

export const Toleration = message("io.k8s.api.core.v1.Toleration", () => ({
  key: optional(1, string, "The taint key that is tolerated; empty with Exists tolerates every key."),
  operator: optional(
    2,
    string,
    "Equal (the default) compares the value, Exists tolerates any value, Gt and Lt compare integers.",
    { values: ["Equal", "Exists", "Gt", "Lt"] },
  ),
  value: optional(3, string, "The taint value that is tolerated."),
  effect: optional(4, string, "The effect that is tolerated; empty tolerates every effect.", {
    values: ["NoExecute", "NoSchedule", "PreferNoSchedule"],
  }),
  tolerationSeconds: optional(5, int64, "How long a NoExecute taint is tolerated. Defaults to forever.", {
    isPointer: true,
  }),
}));
export type Toleration = z.infer<typeof Toleration>;

/** Whether a toleration tolerates a taint (core/v1 Toleration.ToleratesTaint). */
export function toleratesTaint(
  { key, effect, operator, value = "" }: Toleration,
  taint: Pick<Taint, "key" | "effect" | "value">,
): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  return operator === "Exists" || ((operator || "Equal") === "Equal" && value === (taint.value ?? ""));
}
