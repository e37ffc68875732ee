import {
  type LabelOperator,
  matches,
  type Node,
  type NodeSelectorTerm,
  type Pod,
  type Requirement,
  requirementErrors,
  requirementsOf,
  type Selector,
} from "#api";
import { normalizeByHighest, type Plugin } from "../framework/index.ts";

type Expressions = NodeSelectorTerm["matchExpressions"];

const requirements = (list: Expressions): Requirement[] =>
  (list ?? []).map(({ key, operator, values }) => ({ key, operator: operator as LabelOperator, values: values ?? [] }));

const isEmpty = ({ matchExpressions, matchFields }: NodeSelectorTerm): boolean =>
  !matchExpressions?.length && !matchFields?.length;

/** A term as selectors; undefined where it is empty or malformed: such a term matches nothing. */
function parse(term: NodeSelectorTerm): { labels: Selector; fields: Selector } | undefined {
  if (isEmpty(term)) return undefined;
  const labels = requirements(term.matchExpressions);
  if (labels.some((requirement) => requirementErrors(requirement).length > 0)) return undefined;
  return { labels, fields: requirements(term.matchFields) };
}

/** Terms belong to stored objects, which are immutable: each is parsed once, not once per node. */
const parsed = new WeakMap<NodeSelectorTerm, ReturnType<typeof parse>>();

function matchesTerm(term: NodeSelectorTerm, node: Node): boolean {
  if (!parsed.has(term)) parsed.set(term, parse(term));
  const selectors = parsed.get(term);
  if (!selectors || !matches(selectors.labels, node.metadata.labels)) return false;
  return matches(selectors.fields, { "metadata.name": node.metadata.name ?? "" });
}

/** Whether a node matches a pod's nodeSelector and required affinity. */
function matchesNode({ spec }: Pod, node: Node): boolean {
  if (spec?.nodeSelector && !matches(requirementsOf({ matchLabels: spec.nodeSelector }), node.metadata.labels))
    return false;
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return !required || required.nodeSelectorTerms.some((term) => matchesTerm(term, node));
}

const preferred = ({ spec }: Pod) =>
  spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];

/** Errors of the preferred terms, in the words of upstream's NewPreferredSchedulingTerms. */
function preferenceErrors(pod: Pod): string[] {
  return preferred(pod).flatMap(({ weight, preference }, term) => {
    if (weight === 0 || isEmpty(preference)) return [];
    return requirements(preference.matchExpressions).flatMap((requirement, index) =>
      requirementErrors(requirement).map(
        ({ part, value, message }) =>
          `[${term}].matchExpressions[${index}].${part}: Invalid value: ${value}: ${message}`,
      ),
    );
  });
}

/** Filters nodes by the labels that a pod requires, and prefers those with the labels that it prefers. */
export const nodeAffinity: Plugin = {
  name: "NodeAffinity",
  weight: 2,
  filter({ pod }, { node }) {
    // As upstream, a malformed required term matches no node; only a malformed preferred term is an error.
    if (matchesNode(pod, node)) return undefined;
    return { reasons: ["node(s) didn't match Pod's node affinity/selector"], resolvable: false };
  },
  preScore({ pod }) {
    if (preferred(pod).length === 0) return "skip";
    const errors = preferenceErrors(pod);
    if (errors.length > 0) throw new Error(errors.length === 1 ? errors[0] : `[${errors.join(", ")}]`);
    return undefined;
  },
  score: ({ pod }, { node }) =>
    preferred(pod).reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, node) ? weight : 0), 0),
  normalize: (scores) => normalizeByHighest(scores, false),
  hint(event, { pod }) {
    if (event.type === "node-added") return matchesNode(pod, event.node);
    if (event.type === "node-updated") return matchesNode(pod, event.node) && !matchesNode(pod, event.previous);
    return event.type === "self-updated" && event.pod.metadata.uid === pod.metadata.uid;
  },
};
