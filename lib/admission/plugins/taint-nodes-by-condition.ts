import { type Node, nodes, type Taint } from "#api";
import type { Plugin } from "../port.ts";

const notReady: Taint = { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" };

/**
 * A new node accepts no pods until its conditions are known: the taint is removed when the node is ready (upstream's
 * TaintNodesByCondition).
 */
export const taintNodesByCondition: Plugin = {
  name: "TaintNodesByCondition",
  mutate({ operation, kind, subresource, object }) {
    if (operation !== "CREATE" || kind !== nodes || subresource !== "") return;
    const node = object as Node;
    node.spec ??= {};
    const { taints = [] } = node.spec;
    if (taints.some(({ key, effect }) => key === notReady.key && effect === notReady.effect)) return;
    node.spec.taints = [...taints, { ...notReady }];
  },
};
