/** What a client may not set, and what the server puts in its place. */
import { deepEqual } from "#base";
import { applyDefaults, type HookContext, type LabelSelector, messageShapeOf, setCondition } from "../../meta/index.ts";
import type { Container } from "./container.ts";
import { applyPodDefaults } from "./defaults.ts";
import { qosClassOf } from "./qos.ts";
import { Pod, type PodSpec } from "./spec.ts";
import { validateAppArmor } from "./validate-security.ts";
import { containersOf } from "./visit.ts";

/** Drops fields that upstream leaves off unless a feature gate is set, and that others of its rules look at. */
export function dropDisabled(spec: PodSpec, previous?: PodSpec): void {
  if (!previous?.schedulingGroup) delete spec.schedulingGroup;
  const before = previous ? [...containersOf(previous)] : [];
  if (!before.some(([{ lifecycle }]) => lifecycle?.stopSignal !== undefined)) {
    for (const [container] of containersOf(spec)) dropStopSignal(container);
  }
}

function dropStopSignal(container: Container): void {
  if (container.lifecycle?.stopSignal === undefined) return;
  delete container.lifecycle.stopSignal;
  if (Object.keys(container.lifecycle).length === 0) delete container.lifecycle;
}

export function prepareForCreate(pod: Pod, { now, warn = () => {} }: HookContext): void {
  // The quality of service follows from defaulted requests, so the defaults come first.
  applyDefaults(messageShapeOf(Pod), pod);
  applyPodDefaults(pod);
  const spec = pod.spec ?? { containers: [] };
  pod.status = { phase: "Pending", qosClass: qosClassOf(spec) };
  dropDisabled(spec);
  if (spec.schedulingGates?.length) {
    const gated = {
      type: "PodScheduled",
      status: "False",
      reason: "SchedulingGated",
      message: "Scheduling is blocked due to non-empty scheduling gates",
    };
    pod.status.conditions = setCondition([], gated, now);
  }
  mergeLabelKeys(pod);
  takeAppArmorAnnotations(pod, warn);
}

export function prepareForUpdate(next: Pod, previous: Pod): void {
  if (next.spec) dropDisabled(next.spec, previous.spec);
}

/** The pod's own label values become part of the selectors that name their keys. */
function mergeLabelKeys({ metadata, spec }: Pod): void {
  const labels = metadata.labels ?? {};
  const add = (selector: LabelSelector | undefined, keys: readonly string[] | undefined, operator: string): void => {
    if (!selector || !keys) return;
    for (const key of keys) {
      const value = labels[key];
      if (value === undefined) continue;
      selector.matchExpressions ??= [];
      selector.matchExpressions.push({ key, operator, values: [value] });
    }
  };
  for (const affinity of [spec?.affinity?.podAffinity, spec?.affinity?.podAntiAffinity]) {
    const preferred = affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    const terms = [
      ...preferred.flatMap(({ podAffinityTerm }) => podAffinityTerm ?? []),
      ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ];
    for (const { labelSelector, matchLabelKeys, mismatchLabelKeys } of terms) {
      add(labelSelector, matchLabelKeys, "In");
      add(labelSelector, mismatchLabelKeys, "NotIn");
    }
  }
  for (const { labelSelector, matchLabelKeys } of spec?.topologySpreadConstraints ?? []) {
    add(labelSelector, matchLabelKeys, "In");
  }
}

/** AppArmor profiles were once set by annotation; kubelets read the field only. Follows applyAppArmorVersionSkew. */
function takeAppArmorAnnotations({ metadata, spec }: Pod, warn: (text: string) => void): void {
  if (!spec || spec.os?.name === "windows") return;
  for (const [container] of containersOf(spec)) {
    const key = `container.apparmor.security.beta.kubernetes.io/${container.name}`;
    const text = metadata.annotations?.[key];
    if (text === undefined || container.securityContext?.appArmorProfile) continue;
    const profile = appArmorOf(text);
    const usable = profile !== undefined && validateAppArmor(profile, "").length === 0;
    if (usable && deepEqual(profile, spec.securityContext?.appArmorProfile)) continue;
    warn(`metadata.annotations[${key}]: deprecated since v1.30; use the "appArmorProfile" field instead`);
    if (usable) container.securityContext = { ...container.securityContext, appArmorProfile: profile };
  }
}

/** The profile in an annotation; undefined for other text. */
export function appArmorOf(text: string) {
  if (text === "unconfined") return { type: "Unconfined" };
  if (text === "runtime/default") return { type: "RuntimeDefault" };
  const localhostProfile = /^localhost\/(.+)$/.exec(text)?.[1];
  return localhostProfile === undefined ? undefined : { type: "Localhost", localhostProfile };
}
