/** What absent fields of pods and pod templates get, beyond the static defaults of the fields. */
import { roundUpToMilli } from "../../meta/index.ts";
import { isHugePages, mayOvercommit } from "../resource-names.ts";
import type { Container } from "./container.ts";
import { defaultPullPolicy } from "./image-name.ts";
import type { Probe } from "./probe.ts";
import type { ResourceRequirements } from "./resources.ts";
import type { Pod, PodSpec } from "./spec.ts";
import { totalOf } from "./totals.ts";
import { isPodResource } from "./validate-resources.ts";
import { containersOf } from "./visit.ts";
import type { Volume } from "./volume.ts";

/** For every pod spec, in templates too. */
export function applySpecDefaults(spec: PodSpec): void {
  spec.securityContext ??= {};
  // The old name of the field always shows the same; the new one wins.
  const account = spec.serviceAccountName || spec.serviceAccount;
  if (account) spec.serviceAccountName = spec.serviceAccount = account;
  for (const [container] of containersOf(spec)) applyContainerDefaults(container);
  for (const volume of spec.volumes ?? []) applyVolumeDefaults(volume);
  roundAmounts(spec.overhead);
  roundResources(spec.resources);
}

function applyContainerDefaults(container: Container): void {
  container.imagePullPolicy ||= defaultPullPolicy(container.image);
  container.resources ??= {};
  roundResources(container.resources);
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    if (probe) applyProbeDefaults(probe);
  }
}

// A zero counts as absent here.
function applyProbeDefaults(probe: Probe): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
}

function applyVolumeDefaults(volume: Volume): void {
  if (Object.keys(volume).every((key) => key === "name")) volume.emptyDir = {};
  if (volume.image) volume.image.pullPolicy ||= defaultPullPolicy(volume.image.reference);
  const claim = volume.ephemeral?.volumeClaimTemplate?.spec;
  if (!claim) return;
  claim.resources ??= {};
  roundResources(claim.resources);
}

type Amounts = Record<string, string>;

function roundAmounts(amounts: Amounts | undefined): void {
  for (const name in amounts) amounts[name] = roundUpToMilli(amounts[name]!);
}

function roundResources(resources: Pick<ResourceRequirements, "limits" | "requests"> | undefined): void {
  roundAmounts(resources?.limits);
  roundAmounts(resources?.requests);
}

/** For pods alone: a template must stay as its author wrote it. */
export function applyPodDefaults(pod: Pod): void {
  mirrorAddresses(pod);
  const { spec } = pod;
  if (!spec) return;
  applySpecDefaults(spec);
  const { terminationGracePeriodSeconds: grace } = spec;
  if (grace !== undefined && grace < 0) spec.terminationGracePeriodSeconds = 1;
  for (const { resources } of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    if (resources?.limits) resources.requests = { ...resources.limits, ...resources.requests };
  }
  applyPodResources(spec);
  spec.enableServiceLinks ??= true;
  if (!spec.hostNetwork) return;
  for (const { ports = [] } of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    for (const port of ports) port.hostPort ||= port.containerPort;
  }
}

/** Pod-level requests that are set in part are completed from the containers. */
function applyPodResources(spec: PodSpec): void {
  const { resources } = spec;
  if (!resources || (isEmpty(resources.limits) && isEmpty(resources.requests))) return;
  const limits: Amounts = { ...resources.limits };
  for (const [name, total] of Object.entries(totalOf(spec, "limits"))) {
    if (isHugePages(name) && resources.requests?.[name] === undefined) limits[name] ??= total;
  }
  if (!isEmpty(limits)) resources.limits = limits;
  if (isEmpty(resources.limits)) return;
  const requests: Amounts = { ...resources.requests };
  for (const [name, total] of Object.entries(totalOf(spec, "requests"))) {
    if (isPodResource(name) && mayOvercommit(name)) requests[name] ??= total;
  }
  for (const [name, limit] of Object.entries(resources.limits ?? {})) {
    if (isPodResource(name)) requests[name] ??= limit;
  }
  if (!isEmpty(requests)) resources.requests = requests;
}

const isEmpty = (amounts: Amounts | undefined): boolean => Object.keys(amounts ?? {}).length === 0;

/** podIP and hostIP show the first of podIPs and hostIPs; where they differ the older single field wins. */
export function mirrorAddresses({ status }: Pod): void {
  if (!status) return;
  if (status.podIP && status.podIP !== status.podIPs?.[0]?.ip) status.podIPs = [{ ip: status.podIP }];
  const first = status.podIPs?.[0]?.ip;
  if (first) status.podIP = first;
}
