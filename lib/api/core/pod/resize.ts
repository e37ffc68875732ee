/** pods/resize: other amounts of cpu and memory for a pod that runs. */
import { clone, deepEqual } from "#base";
import { type FieldError, forbiddenValue, invalidValue, type PartialUpdateSubresource } from "../../meta/index.ts";
import type { Container } from "./container.ts";
import { qosClassOf } from "./qos.ts";
import type { ResourceRequirements } from "./resources.ts";
import type { Pod, PodSpec } from "./spec.ts";
import { isSidecar } from "./totals.ts";
import { mirrorAnnotation } from "./validate-annotations.ts";
import { validatePod } from "./validate-spec.ts";

export const resize: PartialUpdateSubresource<Pod> = {
  type: "partialUpdate",
  verbs: ["get", "patch", "update"],
  prepare(next, previous) {
    const sent = next.spec;
    next.metadata = { ...previous.metadata };
    if (previous.status) next.status = previous.status;
    else delete next.status;
    if (!sent || !previous.spec) return;
    // Containers with the same name are left as they were sent: validation refuses them.
    if (validateOrder(sent, previous.spec).length === 0) next.spec = takeResources(sent, previous.spec);
    if (deepEqual(next.spec, previous.spec)) return;
    next.metadata.generation = Number(previous.metadata.generation ?? 0) + 1;
  },
  validate: validateResize,
};

const parts = ["containers", "initContainers"] as const;

/** The stored spec with the resources that were sent. */
function takeResources(sent: PodSpec, stored: PodSpec): PodSpec {
  const made = clone(stored);
  for (const part of parts) {
    for (const [index, container] of (made[part] ?? []).entries()) {
      const { resources, resizePolicy } = sent[part]![index]!;
      assign(container, "resources", resources);
      assign(container, "resizePolicy", resizePolicy);
    }
  }
  assign(made, "resources", sent.resources);
  return made;
}

function assign<T, K extends keyof T>(to: T, key: K, value: T[K] | undefined): void {
  if (value === undefined) delete to[key];
  else to[key] = value;
}

function validateOrder(after: PodSpec, before: PodSpec): FieldError[] {
  return parts.flatMap((part) => {
    const now = after[part] ?? [];
    const old = before[part] ?? [];
    if (now.length !== old.length)
      return [forbiddenValue(`spec.${part}`, `${part} may not be added or removed on resize`)];
    return old.flatMap(({ name }, index) => {
      if (now[index]!.name === name) return [];
      return [forbiddenValue(`spec.${part}[${index}].name`, `${part} may not be renamed or reordered on resize`)];
    });
  });
}

function validateResize(next: Pod, previous: Pod): FieldError[] {
  const before = previous.spec ?? { containers: [] };
  const after = next.spec ?? { containers: [] };
  const refused = whyNever(previous, before);
  if (refused) return [forbiddenValue("[]", refused)];
  const errors = validatePod(next);
  const quality = previous.status?.qosClass ?? qosClassOf(before);
  if (quality !== qosClassOf(after)) {
    const why = "Pod QOS Class may not change as a result of resizing";
    errors.push(invalidValue("spec", next.status?.qosClass ?? "", why));
  }
  const running = previous.status?.containerStatuses?.find(({ state }) => state?.running);
  if (running && !running.resources) {
    errors.push(forbiddenValue("spec", "Pod running on node without support for resize"));
  }
  errors.push(...validatePodLevel(after.resources, before.resources));
  if (previous.status?.nodeAllocatableResourceClaimStatuses?.length) {
    errors.push(forbiddenValue("spec", "pods with node allocatable resource claims cannot be resized"));
  }
  const order = validateOrder(after, before);
  return order.length > 0 ? [...errors, ...order] : [...errors, ...validateContainers(after, before)];
}

function whyNever({ metadata }: Pod, { os }: PodSpec): string | undefined {
  if (metadata.annotations?.[mirrorAnnotation] !== undefined) return "static pods cannot be resized";
  return os?.name === "windows" ? "windows pods cannot be resized" : undefined;
}

function validatePodLevel(
  after: ResourceRequirements | undefined,
  before: ResourceRequirements | undefined,
): FieldError[] {
  const path = "spec.resources";
  if (before && !after) return [forbiddenValue(path, "pod-level resources cannot be removed")];
  const errors = before ? validateKept(after, before, path, "pod-level resource") : [];
  if (deepEqual(masked(after, before), masked(before, before))) return errors;
  return [...errors, forbiddenValue("spec", "only cpu and memory resources are mutable at pod-level")];
}

/** Requests and limits may change, and not be removed. */
function validateKept(
  after: ResourceRequirements | undefined,
  before: ResourceRequirements | undefined,
  path: string,
  what: string,
): FieldError[] {
  return (["requests", "limits"] as const).flatMap((part) => {
    const lost = Object.keys(before?.[part] ?? {}).some((name) => after?.[part]?.[name] === undefined);
    return lost ? [forbiddenValue(`${path}.${part}`, `${what} ${part} cannot be removed`)] : [];
  });
}

/** Resources with cpu and memory as they were: what then differs may not change. */
function masked(after: ResourceRequirements | undefined, before: ResourceRequirements | undefined): object {
  const made: Record<string, object> = {};
  for (const part of ["requests", "limits"] as const) {
    const { cpu: _cpu, memory: _memory, ...rest } = after?.[part] ?? {};
    const { cpu, memory } = before?.[part] ?? {};
    made[part] = { ...rest, ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}) };
  }
  return made;
}

function validateContainers(after: PodSpec, before: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, old] of (before.initContainers ?? []).entries()) {
    const now = after.initContainers![index]!;
    const at = `spec.initContainers[${index}]`;
    errors.push(...validateKept(now.resources, old.resources, `${at}.resources`, "resource"));
    if (differs(now, old)) {
      const why = "only cpu and memory resources for init or sidecar containers are mutable";
      errors.push(forbiddenValue(at, why));
    }
    const restarts = now.resizePolicy?.some(({ restartPolicy }) => restartPolicy === "RestartContainer");
    if (!isSidecar(now) && restarts && !deepEqual(now, old)) {
      const why = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
      errors.push(forbiddenValue(at, why));
    }
  }
  for (const [index, old] of (before.containers ?? []).entries()) {
    const now = after.containers[index]!;
    errors.push(...validateKept(now.resources, old.resources, `spec.containers[${index}].resources`, "resource"));
    if (differs(now, old)) errors.push(forbiddenValue("spec", "only cpu and memory resources are mutable"));
  }
  return errors;
}

/** Whether more than cpu and memory differs. Claims do not count, as upstream leaves them out here. */
function differs(now: Container, old: Container): boolean {
  const { resources: _now, ...rest } = now;
  const { resources: _old, ...oldRest } = old;
  return (
    !deepEqual(rest, oldRest) || !deepEqual(masked(now.resources, old.resources), masked(old.resources, old.resources))
  );
}
