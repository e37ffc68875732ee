import { type Node, type Taint, type Toleration, toleratesTaint } from "#api";
import { normalizeByHighest, type Plugin } from "../framework/index.ts";

/** Whether one of the tolerations tolerates a taint. */
export const tolerates = (
  tolerations: readonly Toleration[] | undefined,
  taint: Pick<Taint, "key" | "effect" | "value">,
): boolean => (tolerations ?? []).some((toleration) => toleratesTaint(toleration, taint));

const forbids = ({ effect }: Taint): boolean => effect === "NoSchedule" || effect === "NoExecute";

/** The first taint that excludes a pod. */
const untolerated = (tolerations: readonly Toleration[] | undefined, node: Node): Taint | undefined =>
  node.spec?.taints?.find((taint) => forbids(taint) && !tolerates(tolerations, taint));

/** Filters nodes with taints that the pod does not tolerate, and prefers nodes without PreferNoSchedule taints. */
export const taintToleration: Plugin = {
  name: "TaintToleration",
  weight: 3,
  filter({ pod }, { node }) {
    const taint = untolerated(pod.spec?.tolerations, node);
    if (!taint) return undefined;
    return { reasons: [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`], resolvable: false };
  },
  score({ pod }, { node }) {
    const soft = (pod.spec?.tolerations ?? []).filter(({ effect }) => !effect || effect === "PreferNoSchedule");
    return (node.spec?.taints ?? []).filter((taint) => taint.effect === "PreferNoSchedule" && !tolerates(soft, taint))
      .length;
  },
  normalize: (scores) => normalizeByHighest(scores, true),
  hint(event, { pod }) {
    if (event.type === "node-added") return !untolerated(pod.spec?.tolerations, event.node);
    if (event.type === "node-updated") {
      return (
        !untolerated(pod.spec?.tolerations, event.node) &&
        untolerated(pod.spec?.tolerations, event.previous) !== undefined
      );
    }
    return event.type === "self-updated" && event.pod.metadata.uid === pod.metadata.uid;
  },
};
