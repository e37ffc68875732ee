import { type Pod, pods } from "#api";
import { forbidden } from "#base";
import type { Plugin } from "../port.ts";

/** The classes that every cluster has; others come with the PriorityClass kind. */
const classes: Record<string, number> = {
  "system-cluster-critical": 2_000_000_000,
  "system-node-critical": 2_000_001_000,
};

/** Sets the priority of a pod to the value of its class, 0 without one (upstream's Priority). */
export const priority: Plugin = {
  name: "Priority",
  mutate({ operation, kind, subresource, object, previous, name }) {
    if ((operation !== "CREATE" && operation !== "UPDATE") || kind !== pods || subresource !== "") return;
    const { spec } = object as Pod;
    if (!spec) return;
    if (operation === "UPDATE") {
      // The computed value is kept when a manifest without it is applied again; validation refuses another value.
      const before = (previous as Pod).spec;
      if (before?.priority !== undefined) spec.priority ??= before.priority;
      if (before?.preemptionPolicy !== undefined) spec.preemptionPolicy ??= before.preemptionPolicy;
      return;
    }
    const className = spec.priorityClassName ?? "";
    const refuse = (why: string) => forbidden({ group: "", resource: pods.plural }, name, why);
    if (className !== "" && !Object.hasOwn(classes, className))
      throw refuse(`no PriorityClass with name ${className} was found`);
    const value = className === "" ? 0 : classes[className]!;
    if (spec.priority !== undefined && spec.priority !== value) {
      throw refuse(
        `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
      );
    }
    spec.priority = value;
    const preemption = "PreemptLowerPriority";
    if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== preemption) {
      throw refuse(
        `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${preemption} from the given PriorityClass name`,
      );
    }
    spec.preemptionPolicy = preemption;
  },
};
