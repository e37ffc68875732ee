import { type Pod, pods } from "#api";
import { forbidden } from "#base";
import type { Plugin } from "../port.ts";

/**
 * A pod that asks for a RuntimeClass must get it, or it would run without the isolation that it counts on; there are
 * none here yet. Nor is there one whose overhead a pod could name (upstream's RuntimeClass).
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
