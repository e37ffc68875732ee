import type { Plugin } from "../framework/index.ts";

/** Filters nodes for a pod that names its node. */
export const nodeName: Plugin = {
  name: "NodeName",
  filter({ pod }, { name }) {
    const wanted = pod.spec?.nodeName;
    if (!wanted || wanted === name) return undefined;
    return { reasons: ["node(s) didn't match the requested node name"], resolvable: false };
  },
  hint: (event, { pod }) => event.type === "node-added" && event.node.metadata.name === pod.spec?.nodeName,
};
