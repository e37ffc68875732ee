import { type Pod, pods } from "#api";
import type { Plugin } from "../port.ts";

const keys = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
const seconds = 300;

/**
 * Pods without a toleration of their own tolerate a node that is not ready or unreachable for five minutes (upstream's
 * plugin of this name).
 */
export const defaultTolerationSeconds: Plugin = {
  name: "DefaultTolerationSeconds",
  mutate({ operation, kind, subresource, object }) {
    if ((operation !== "CREATE" && operation !== "UPDATE") || kind !== pods || subresource !== "") return;
    const { spec } = object as Pod;
    if (!spec) return;
    for (const key of keys) {
      const tolerated = spec.tolerations?.some(
        (toleration) =>
          (toleration.key === key || !toleration.key) && (toleration.effect === "NoExecute" || !toleration.effect),
      );
      if (tolerated) continue;
      spec.tolerations ??= [];
      spec.tolerations.push({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: seconds });
    }
  },
};
