import { type Pod, pod as pods } from "#api";
import { forbidden } from "#base";
import type { Plugin } from "../port.ts";

/** The classes that every cluster has; others come with the PriorityClass kind. */
const classes: Record<string, number> = {
  "system-cluster-critical": 2_000_000_000,
  "system-node-critical": 2_000_001_000,
};

/** Gives a pod the value of its priority class: 0 without one (upstream's Priority). */
export const priority: Plugin = {
  name: "Priority",
  mutate({ operation, kind, subresource, object, namespace, name }) {
    if (operation !== "CREATE" || kind !== pods || subresource !== "") return;
    const { spec } = object as Pod;
    if (!spec) return;
    const className = spec.priorityClassName ?? "";
    const refuse = (why: string) => forbidden({ group: "", resource: pods.plural }, name, why);
    if (className !== "" && !Object.hasOwn(classes, className))
      throw refuse(`no PriorityClass with name ${className} was found`);
    const critical = className.startsWith("system-");
    if (critical && namespace !== "kube-system") {
      // Upstream bounds these by a quota of kube-system; without quotas the namespace itself is the bound.
      throw refuse(`pods with ${className} priorityClass is not permitted in ${namespace} namespace`);
    }
    const value = className === "" ? 0 : classes[className]!;
    if (spec.priority !== undefined && spec.priority !== value) {
      throw refuse(
        `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
      );
    }
    spec.priority = value;
    spec.preemptionPolicy ??= "PreemptLowerPriority";
  },
};
