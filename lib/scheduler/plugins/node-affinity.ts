import { type LabelOperator, matches, type Node, type NodeSelectorTerm, type Pod, requirementsOf } from "#api";
import { normalizeByHighest, type Plugin } from "../framework/index.ts";

/** One term of a node selector; an empty one matches nothing. */
function matchesTerm({ matchExpressions, matchFields }: NodeSelectorTerm, node: Node): boolean {
  if (!matchExpressions?.length && !matchFields?.length) return false;
  const selector = (list: typeof matchExpressions) =>
    (list ?? []).map(({ key, operator, values }) => ({
      key,
      operator: operator as LabelOperator,
      values: values ?? [],
    }));
  if (!matches(selector(matchExpressions), node.metadata.labels)) return false;
  return matches(selector(matchFields), { "metadata.name": node.metadata.name ?? "" });
}

/** Whether a node is what a pod's nodeSelector and required affinity ask for. */
export function matchesNode({ spec }: Pod, node: Node): boolean {
  if (spec?.nodeSelector && !matches(requirementsOf({ matchLabels: spec.nodeSelector }), node.metadata.labels))
    return false;
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return !required || required.nodeSelectorTerms.some((term) => matchesTerm(term, node));
}

const preferred = ({ spec }: Pod) =>
  spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];

/** Pods go to nodes with the labels that they require, and rather to those that they prefer. */
export const nodeAffinity: Plugin = {
  name: "NodeAffinity",
  weight: 2,
  filter({ pod }, { node }) {
    if (matchesNode(pod, node)) return undefined;
    return { reasons: ["node(s) didn't match Pod's node affinity/selector"], resolvable: false };
  },
  preScore: ({ pod }) => (preferred(pod).length === 0 ? "skip" : undefined),
  score: ({ pod }, { node }) =>
    preferred(pod).reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, node) ? weight : 0), 0),
  normalize: (scores) => normalizeByHighest(scores, false),
  hint(event, { pod }) {
    if (event.type === "node-added") return matchesNode(pod, event.node);
    if (event.type === "node-updated") return matchesNode(pod, event.node) && !matchesNode(pod, event.previous);
    return event.type === "self-updated" && event.pod.metadata.uid === pod.metadata.uid;
  },
};
