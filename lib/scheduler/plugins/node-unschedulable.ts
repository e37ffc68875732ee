import type { Plugin } from "../framework/index.ts";
import { tolerates } from "./taint-toleration.ts";

const taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };

/** Filters cordoned nodes for pods that do not tolerate them. */
export const nodeUnschedulable: Plugin = {
  name: "NodeUnschedulable",
  filter({ pod }, { node }) {
    if (!node.spec?.unschedulable || tolerates(pod.spec?.tolerations, taint)) return undefined;
    return { reasons: ["node(s) were unschedulable"], resolvable: false };
  },
  hint: (event, { pod }) =>
    (event.type === "node-added" && !event.node.spec?.unschedulable) ||
    (event.type === "node-updated" && event.previous.spec?.unschedulable === true && !event.node.spec?.unschedulable) ||
    (event.type === "self-updated" && event.pod.metadata.uid === pod.metadata.uid),
};
