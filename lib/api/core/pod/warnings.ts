/** What is legal in a pod or pod template and most likely wrong; follows warningsForPodSpecAndMeta of v1.37. */
import { deepEqual } from "#base";
import { ipWarnings, type LabelSelector, labelValueErrors, type ObjectMeta } from "../../meta/index.ts";
import type { NodeSelectorTerm } from "../topology.ts";
import type { Affinity, PodAffinity } from "./affinity.ts";
import type { Container, ContainerPort } from "./container.ts";
import { fractional } from "./fractions.ts";
import { appArmorOf } from "./prepare.ts";
import type { PodSpec } from "./spec.ts";
import { containersOf } from "./visit.ts";
import { overlapWarnings, pluginWarnings } from "./volume-warnings.ts";

interface Template {
  metadata?: Pick<ObjectMeta, "annotations"> | undefined;
  spec?: PodSpec | undefined;
}

/** `path` is that of a template, such as `spec.template`; "" for a pod itself. */
export function podWarnings({ metadata, spec }: Template, path = ""): string[] {
  if (!spec) return [];
  const at = (below: string): string => (path === "" ? below : `${path}.${below}`);
  const root = at("spec");
  const annotations = metadata?.annotations ?? {};
  return [
    ...placementWarnings(spec, root),
    ...annotationWarnings(annotations, at("metadata.annotations")),
    ...pluginWarnings(spec.volumes ?? [], `${root}.volumes`),
    ...overlapWarnings(spec.volumes ?? []),
    ...duplicates(spec.hostAliases, ({ ip }) => ip, `${root}.hostAliases`, "ip"),
    ...duplicates(spec.imagePullSecrets, ({ name = "" }) => name, `${root}.imagePullSecrets`, "name"),
    ...(spec.imagePullSecrets ?? []).flatMap(({ name }, index) =>
      name ? [] : [`${root}.imagePullSecrets[${index}].name: invalid empty name ""`],
    ),
    ...fractional(spec.overhead, `${root}.overhead`, fractionless),
    ...profileWarnings(spec, annotations, at("metadata.annotations"), path !== ""),
    ...[...containersOf(spec, root)].flatMap(([container, where]) => containerWarnings(container, where)),
    ...portWarnings(spec, root),
    ...portNameWarnings(spec, root),
    ...((spec.terminationGracePeriodSeconds ?? 0) < 0
      ? [`${root}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`]
      : []),
    ...affinityWarnings(spec.affinity, `${root}.affinity`),
    ...(spec.dnsConfig?.nameservers ?? []).flatMap((ip, index) =>
      ipWarnings(`${root}.dnsConfig.nameservers[${index}]`, ip),
    ),
    ...(spec.hostAliases ?? []).flatMap(({ ip }, index) => ipWarnings(`${root}.hostAliases[${index}].ip`, ip)),
  ];
}

const deprecatedLabels: Readonly<Record<string, string>> = {
  "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
  "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
  "app.kubernetes.io/created-by": "deprecated since v1.9",
  "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
  "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
};

const deprecation = (label: string): string | undefined =>
  Object.hasOwn(deprecatedLabels, label) ? deprecatedLabels[label] : undefined;

const nullSelector = "a null labelSelector results in matching no pod";

/** Deprecated node labels in the scheduling fields of a pod, and selectors that match nothing. */
function placementWarnings(spec: PodSpec, root: string): string[] {
  const warnings: string[] = [];
  for (const label of Object.keys(spec.nodeSelector ?? {}).sort()) {
    const message = deprecation(label);
    if (message !== undefined) warnings.push(`${root}.nodeSelector[${label}]: ${message}`);
  }
  const { requiredDuringSchedulingIgnoredDuringExecution: required, preferredDuringSchedulingIgnoredDuringExecution } =
    spec.affinity?.nodeAffinity ?? {};
  const path = `${root}.affinity.nodeAffinity`;
  for (const [index, term] of (required?.nodeSelectorTerms ?? []).entries()) {
    const at = `${path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[${index}]`;
    warnings.push(...termWarnings(term, at, false));
  }
  for (const [index, { preference }] of (preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    const at = `${path}.preferredDuringSchedulingIgnoredDuringExecution[${index}].preference`;
    warnings.push(...termWarnings(preference, at, true));
  }
  for (const [index, { topologyKey, labelSelector }] of (spec.topologySpreadConstraints ?? []).entries()) {
    const at = `${root}.topologySpreadConstraints[${index}]`;
    const message = deprecation(topologyKey);
    if (message !== undefined) warnings.push(`${at}.topologyKey: ${topologyKey} is ${message}`);
    if (!labelSelector) warnings.push(`${at}.labelSelector: ${nullSelector}`);
  }
  return warnings;
}

function termWarnings({ matchExpressions = [] }: NodeSelectorTerm, path: string, withValues: boolean): string[] {
  return matchExpressions.flatMap(({ key, values }, index) => {
    const at = `${path}.matchExpressions[${index}]`;
    const message = deprecation(key);
    const wrong = (withValues ? (values ?? []) : []).flatMap((value, place) =>
      labelValueErrors(value).map((why) => `${at}.values[${place}]: ${value} is invalid, ${why}`),
    );
    return [...(message === undefined ? [] : [`${at}.key: ${key} is ${message}`]), ...wrong];
  });
}

function affinityWarnings(affinity: Affinity | undefined, path: string): string[] {
  const of = (part: PodAffinity | undefined, at: string): string[] => {
    const check = (selector: LabelSelector | undefined, where: string) =>
      selector ? [] : [`${where}.labelSelector: ${nullSelector}`];
    const required = part?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    const preferred = part?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    return [
      ...required.flatMap(({ labelSelector }, index) =>
        check(labelSelector, `${at}.requiredDuringSchedulingIgnoredDuringExecution[${index}]`),
      ),
      ...preferred.flatMap(({ podAffinityTerm: { labelSelector } }, index) =>
        check(labelSelector, `${at}.preferredDuringSchedulingIgnoredDuringExecution[${index}].podAffinityTerm`),
      ),
    ];
  };
  return [
    ...of(affinity?.podAffinity, `${path}.podAffinity`),
    ...of(affinity?.podAntiAffinity, `${path}.podAntiAffinity`),
  ];
}

const deprecatedAnnotations: Readonly<Record<string, string>> = {
  "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
  "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
  "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
};

const annotationWarnings = (annotations: Readonly<Record<string, string>>, path: string): string[] =>
  Object.entries(deprecatedAnnotations).flatMap(([key, message]) =>
    Object.hasOwn(annotations, key) ? [`${path}[${key}]: ${message}`] : [],
  );

/** Annotations that stood for profiles of seccomp and AppArmor. A pod's own AppArmor is warned of where it is taken. */
function profileWarnings(
  spec: PodSpec,
  annotations: Readonly<Record<string, string>>,
  path: string,
  isTemplate: boolean,
): string[] {
  const has = (key: string) => Object.hasOwn(annotations, key);
  const seccomp = (key: string) => `${path}[${key}]: non-functional in v1.27+; use the "seccompProfile" field instead`;
  const warnings: string[] = [];
  const ofPod = "seccomp.security.alpha.kubernetes.io/pod";
  if (!spec.securityContext?.seccompProfile && has(ofPod)) warnings.push(seccomp(ofPod));
  for (const [{ name, securityContext }] of containersOf(spec)) {
    const ofContainer = `container.seccomp.security.alpha.kubernetes.io/${name}`;
    if (!securityContext?.seccompProfile && has(ofContainer)) warnings.push(seccomp(ofContainer));
    const appArmor = `container.apparmor.security.beta.kubernetes.io/${name}`;
    if (!isTemplate || securityContext?.appArmorProfile || !has(appArmor)) continue;
    const own = spec.securityContext?.appArmorProfile;
    if (own && deepEqual(own, appArmorOf(annotations[appArmor]!))) continue;
    warnings.push(`${path}[${appArmor}]: deprecated since v1.30; use the "appArmorProfile" field instead`);
  }
  return warnings;
}

const fractionless = ["memory", "ephemeral-storage"];

function containerWarnings({ resources, env = [] }: Container, path: string): string[] {
  const warnings = fractionless.flatMap((name) =>
    (["limits", "requests"] as const).flatMap((part) =>
      fractional(resources?.[part], `${path}.resources.${part}`, [name]),
    ),
  );
  const seen = new Set<string>();
  for (const [index, { name, value = "", valueFrom }] of env.entries()) {
    const reference = `$(${name})`;
    // A value that refers to the one before needs it.
    const extends_ = !valueFrom && value !== reference && value.includes(reference);
    if (seen.has(name) && !extends_) {
      const why = `hides previous definition of "${name}", which may be dropped when using apply`;
      warnings.push(`${path}.env[${index}]: ${why}`);
    }
    seen.add(name);
  }
  return warnings;
}

/** A port as Go prints the struct. */
const shown = ({ name = "", hostPort = 0, containerPort, protocol = "", hostIP = "" }: ContainerPort): string =>
  `{Name:${name} HostPort:${hostPort} ContainerPort:${containerPort} Protocol:${protocol} HostIP:${hostIP}}`;

/** How many ports of one number are compared, and how many warnings that gives: more would not be sent. */
const [mostPorts, mostLikenesses] = [1000, 100];

function portWarnings(spec: PodSpec, root: string): string[] {
  const warnings: string[] = [];
  let alike = 0;
  const known = new Map<string, { at: string; port: ContainerPort }[]>();
  for (const [{ ports = [] }, path] of containersOf(spec, root)) {
    for (const [index, port] of ports.entries()) {
      const at = `${path}.ports[${index}]`;
      const { hostIP = "", hostPort = 0 } = port;
      if (hostIP !== "" && hostPort === 0) warnings.push(`${at}: hostIP set without hostPort: ${shown(port)}`);
      const key = `${port.containerPort}/${port.protocol}`;
      const others = known.get(key) ?? [];
      if (others.length >= mostPorts) continue;
      for (const other of others) {
        const how = alike < mostLikenesses ? likeness(port, other.port) : undefined;
        if (how === undefined) continue;
        warnings.push(`${at}: ${how} port definition with ${other.at}`);
        alike++;
      }
      others.push({ at, port });
      known.set(key, others);
    }
  }
  return warnings;
}

function likeness(a: ContainerPort, b: ContainerPort): string | undefined {
  const [ipOfA = "", ipOfB = ""] = [a.hostIP, b.hostIP];
  const [portOfA = 0, portOfB = 0] = [a.hostPort, b.hostPort];
  if (ipOfA === ipOfB && portOfA === portOfB) return "duplicate";
  if (portOfA === 0 || portOfB === 0) return "overlapping";
  return portOfA === portOfB && (ipOfA === "") !== (ipOfB === "") ? "dangerously ambiguous" : undefined;
}

function portNameWarnings(spec: PodSpec, root: string): string[] {
  const warnings: string[] = [];
  const named = new Map<string, string>();
  for (const [{ ports = [] }, path] of containersOf(spec, root)) {
    for (const [index, { name }] of ports.entries()) {
      if (!name) continue;
      const first = named.get(name);
      const at = `${path}.ports[${index}]`;
      if (first === undefined) named.set(name, at);
      else {
        const use = `services and probes that select ports by name will use ${first}`;
        warnings.push(`${at}: duplicate port name "${name}" with ${first}, ${use}`);
      }
    }
  }
  return warnings;
}

function duplicates<T>(
  items: readonly T[] | undefined,
  keyOf: (item: T) => string,
  path: string,
  member: string,
): string[] {
  const seen = new Set<string>();
  return (items ?? []).flatMap((item, index) => {
    const key = keyOf(item);
    if (seen.has(key)) return [`${path}[${index}].${member}: duplicate ${member} ${JSON.stringify(key)}`];
    seen.add(key);
    return [];
  });
}
