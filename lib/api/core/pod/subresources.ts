/** What can be done with a pod beside reading and writing it. */
import { badRequest, conflict, deepEqual, invalid } from "#base";
import {
  type ActionSubresource,
  type ConnectSubresource,
  dnsSubdomainErrors,
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  notSupported,
  type PartSubresource,
  requiredValue,
  type StatusSubresource,
} from "../../meta/index.ts";
import type { Binding } from "../binding.ts";
import { mirrorAddresses } from "./defaults.ts";
import { setCondition } from "./prepare.ts";
import type { Pod } from "./spec.ts";
import { validatePodStatus } from "./validate-status.ts";
import { validateEphemeralUpdate } from "./validate-update.ts";
import { containersOf } from "./visit.ts";

export const status: StatusSubresource<Pod> = {
  type: "status",
  prepare(next, previous) {
    mirrorAddresses(next);
    next.status ??= {};
    const after = next.status;
    const before = previous.status ?? {};
    if (!after.qosClass && before.qosClass) after.qosClass = before.qosClass;
    keepObserved(after, before);
    if (previous.metadata.ownerReferences) next.metadata.ownerReferences = previous.metadata.ownerReferences;
    else delete next.metadata.ownerReferences;
  },
  validate: validatePodStatus,
};

interface Observed {
  observedGeneration?: number | undefined;
  conditions?: { type: string; observedGeneration?: number | undefined }[] | undefined;
}

/** Writers that know nothing of observed generations must not wipe them. */
function keepObserved(after: Observed, before: Observed): void {
  if (!after.observedGeneration && before.observedGeneration) after.observedGeneration = before.observedGeneration;
  const known = new Map<string, number[]>();
  for (const { type, observedGeneration = 0 } of before.conditions ?? []) {
    known.set(type, [...(known.get(type) ?? []), observedGeneration]);
  }
  for (const condition of after.conditions ?? []) {
    const generation = known.get(condition.type)?.shift();
    if (!condition.observedGeneration && generation) condition.observedGeneration = generation;
  }
}

export const ephemeralContainers: PartSubresource<Pod> = {
  type: "part",
  verbs: ["get", "patch", "update"],
  prepare(next, previous) {
    const added = next.spec?.ephemeralContainers;
    next.metadata = { ...previous.metadata };
    if (previous.status) next.status = previous.status;
    else delete next.status;
    if (!previous.spec) return;
    next.spec = { ...previous.spec };
    if (added) next.spec.ephemeralContainers = added;
    else delete next.spec.ephemeralContainers;
    if (deepEqual(next.spec, previous.spec)) return;
    next.metadata.generation = Number(previous.metadata.generation ?? 0) + 1;
  },
  validate: validateEphemeralUpdate,
};

export const binding: ActionSubresource<Pod> = {
  type: "action",
  accepts: { group: "", version: "v1", kind: "Binding" },
  apply(pod, body, { now }) {
    const { metadata = {}, target } = body as unknown as Binding;
    const { name = "" } = pod.metadata;
    if (metadata.name !== name) throw badRequest("name in URL does not match name in Binding object");
    const errors = validateBinding(target);
    if (errors.length > 0) throw invalid(bindingKind, name, errors);
    const node = target.name!;
    const { uid, resourceVersion } = metadata;
    checkPrecondition("UID", uid, pod.metadata.uid, name);
    checkPrecondition("ResourceVersion", resourceVersion, pod.metadata.resourceVersion, name);
    const refused = whyNotBound(pod);
    if (refused) throw conflict({ group: "", resource: "pods/binding" }, name, refused);
    pod.spec!.nodeName = node;
    pod.status ??= {};
    delete pod.status.nominatedNodeName;
    if (metadata.annotations) pod.metadata.annotations = { ...pod.metadata.annotations, ...metadata.annotations };
    if (metadata.labels) pod.metadata.labels = { ...pod.metadata.labels, ...metadata.labels };
    setCondition(pod.status, now, { type: "PodScheduled", status: "True" });
  },
};

const bindingKind = { group: "", kind: "Binding" };

/** Upstream's ValidatePodBinding, whose errors it answers with 500 and without a reason. */
function validateBinding({ kind, name }: Binding["target"]): FieldError[] {
  if (kind && kind !== "Node") return [notSupported("target.kind", kind, ["Node", "<empty>"])];
  return name ? invalidAll("target.name", name, dnsSubdomainErrors(name)) : [requiredValue("target.name")];
}

function checkPrecondition(what: string, wanted: string | undefined, actual: string | undefined, name: string): void {
  if (!wanted || wanted === actual) return;
  const why = `Precondition failed: ${what} in precondition: ${wanted}, ${what} in object meta: ${actual}`;
  throw conflict({ group: "", resource: "pods" }, name, why);
}

function whyNotBound({ metadata, spec }: Pod): string | undefined {
  if (metadata.deletionTimestamp) return `pod ${metadata.name} is being deleted, cannot be assigned to a host`;
  if (spec?.nodeName) return `pod ${metadata.name} is already assigned to node "${spec.nodeName}"`;
  return spec?.schedulingGates?.length ? `pod ${metadata.name} has non-empty .spec.schedulingGates` : undefined;
}

/** The container that is meant; a pod with one container has no other. */
function containerOf({ metadata, spec }: Pod, query: URLSearchParams): string {
  const name = query.get("container") ?? "";
  const all = spec ? [...containersOf(spec)].map(([container]) => container.name) : [];
  if (name !== "") {
    if (all.includes(name)) return name;
    throw badRequest(`container ${name} is not valid for pod ${metadata.name}`);
  }
  const containers = spec?.containers ?? [];
  if (containers.length === 1) return containers[0]!.name;
  const what = `a container name must be specified for pod ${metadata.name}`;
  throw badRequest(containers.length === 0 ? what : `${what}, choose one of: [${all.join(" ")}]`);
}

function nodeOf({ metadata, spec }: Pod): string {
  if (spec?.nodeName) return spec.nodeName;
  throw badRequest(`pod ${metadata.name} does not have a host assigned`);
}

const pathOf = (action: string, { metadata }: Pod, rest: string, query: URLSearchParams): string => {
  const text = query.toString();
  return `/${action}/${metadata.namespace}/${metadata.name}${rest}${text === "" ? "" : `?${text}`}`;
};

const isTrue = (value: string | null): boolean => value !== null && !["", "0", "false"].includes(value.toLowerCase());

/** The kubelet's names for what a client of the API asks. */
const streams = { stdin: "input", stdout: "output", stderr: "error", tty: "tty" } as const;

function stream(action: "exec" | "attach"): ConnectSubresource<Pod>["target"] {
  return (pod, query) => {
    const container = containerOf(pod, query);
    const node = nodeOf(pod);
    const asked = new URLSearchParams();
    for (const [name, kubeletName] of Object.entries(streams)) if (isTrue(query.get(name))) asked.set(kubeletName, "1");
    if (action === "exec") for (const part of query.getAll("command")) asked.append("command", part);
    return { node, path: pathOf(action, pod, `/${container}`, asked) };
  };
}

/** The pod's log. The node is empty while the pod has none: then there is no log yet, which is no error. */
export const log: ConnectSubresource<Pod> = {
  type: "connect",
  verbs: ["get"],
  accepts: { group: "", version: "v1", kind: "Pod" },
  target(pod, query) {
    const errors = validateLogQuery(query);
    if (errors.length > 0) throw invalid({ group: "", kind: "PodLogOptions" }, pod.metadata.name ?? "", errors);
    const container = containerOf(pod, query);
    const asked = new URLSearchParams();
    for (const name of ["follow", "previous", "timestamps"]) if (isTrue(query.get(name))) asked.set(name, "true");
    for (const name of ["sinceSeconds", "sinceTime", "tailLines", "limitBytes"]) {
      const value = query.get(name);
      if (value !== null && value !== "") asked.set(name, value);
    }
    return { node: pod.spec?.nodeName ?? "", path: pathOf("containerLogs", pod, `/${container}`, asked) };
  },
};

function validateLogQuery(query: URLSearchParams): FieldError[] {
  const number = (name: string): number | undefined => {
    const text = query.get(name);
    if (text === null || text === "") return undefined;
    if (/^[+-]?\d+$/.test(text)) return Number(text);
    throw badRequest(`strconv.ParseInt: parsing "${text}": invalid syntax`);
  };
  const errors: FieldError[] = [];
  const [tail, limit, since] = [number("tailLines"), number("limitBytes"), number("sinceSeconds")];
  if (tail !== undefined && tail < 0) {
    errors.push(invalidValue("tailLines", tail, "must be greater than or equal to 0"));
  }
  if (limit !== undefined && limit < 1) errors.push(invalidValue("limitBytes", limit, "must be greater than 0"));
  if (since !== undefined && query.get("sinceTime")) {
    errors.push(forbiddenValue("", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
  } else if (since !== undefined && since < 1) {
    errors.push(invalidValue("sinceSeconds", since, "must be greater than 0"));
  }
  return errors;
}

export const exec: ConnectSubresource<Pod> = {
  type: "connect",
  verbs: ["get", "post"],
  accepts: { group: "", version: "v1", kind: "PodExecOptions" },
  target: stream("exec"),
};

export const attach: ConnectSubresource<Pod> = {
  type: "connect",
  verbs: ["get", "post"],
  accepts: { group: "", version: "v1", kind: "PodAttachOptions" },
  target: stream("attach"),
};

export const portforward: ConnectSubresource<Pod> = {
  type: "connect",
  verbs: ["get", "post"],
  accepts: { group: "", version: "v1", kind: "PodPortForwardOptions" },
  target(pod, query) {
    const node = nodeOf(pod);
    const ports = query.getAll("ports").filter((port) => port !== "");
    const asked = new URLSearchParams(ports.length === 0 ? {} : { port: ports.join(",") });
    return { node, path: pathOf("portForward", pod, "", asked) };
  },
};
