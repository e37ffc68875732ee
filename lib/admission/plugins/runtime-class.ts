import { type Pod, pods } from "#api";
import { forbidden } from "#base";
import type { Plugin } from "../port.ts";

/**
 * Refuses pods with a RuntimeClass or an overhead (upstream's RuntimeClass): no classes exist yet, and such a pod must
 * not run without the isolation that it relies on.
 */
export const runtimeClass: Plugin = {
  name: "RuntimeClass",
  mutate({ operation, kind, subresource, object, name }) {
    if (operation !== "CREATE" || kind !== pods || subresource !== "") return;
    const { runtimeClassName, overhead } = (object as Pod).spec ?? {};
    const refuse = (why: string) => forbidden({ group: "", resource: pods.plural }, name, `pod rejected: ${why}`);
    if (runtimeClassName !== undefined) {
      throw refuse(`RuntimeClass ${JSON.stringify(runtimeClassName)} not found`);
    }
    if (overhead) throw refuse("Pod Overhead set without corresponding RuntimeClass defined Overhead");
  },
};
