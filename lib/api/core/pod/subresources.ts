/** What can be done with a pod beside reading and writing it. */
import { badRequest, conflict, deepEqual, invalid } from "#base";
import {
  type CommandSubresource,
  type ConnectSubresource,
  dnsSubdomainErrors,
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  type LogOptions,
  type NodeRequest,
  notSupported,
  type PartialUpdateSubresource,
  type PodPlace,
  requiredValue,
  type StatusSubresource,
  setCondition,
} from "../../meta/index.ts";
import type { Binding } from "../binding.ts";
import { mirrorAddresses } from "./defaults.ts";
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

export const ephemeralContainers: PartialUpdateSubresource<Pod> = {
  type: "partialUpdate",
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

export const binding: CommandSubresource<Pod> = {
  type: "command",
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
    pod.status.conditions = setCondition(pod.status.conditions, { type: "PodScheduled", status: "True" }, now);
  },
};

const bindingKind = { group: "", kind: "Binding" };

/** Upstream's ValidatePodBinding, whose errors upstream answers with 500 and without a reason. */
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

const placeOf = ({ metadata }: Pod): PodPlace => ({ namespace: metadata.namespace ?? "", name: metadata.name ?? "" });

/** Upstream's Convert_Slice_string_To_bool. */
const isTrue = (value: string | null): boolean => value !== null && !["0", "false"].includes(value.toLowerCase());

function session(action: "exec" | "attach"): ConnectSubresource<Pod>["target"] {
  return (object, query) => {
    const container = containerOf(object, query);
    const node = nodeOf(object);
    const isOn = (name: string): boolean => isTrue(query.get(name));
    const streams = { stdin: isOn("stdin"), stdout: isOn("stdout"), stderr: isOn("stderr"), tty: isOn("tty") };
    const asked = { pod: placeOf(object), container, streams };
    if (action === "attach") return { node, request: { type: "attach", ...asked } };
    return { node, request: { type: "exec", ...asked, command: query.getAll("command") } };
  };
}

/** The pod's log. The node is empty while the pod has none: then there is no log yet, which is no error. */
export const log: ConnectSubresource<Pod> = {
  type: "connect",
  verbs: ["get"],
  accepts: { group: "", version: "v1", kind: "Pod" },
  target(object, query) {
    const { options, errors } = readLogOptions(query);
    if (errors.length > 0) throw invalid({ group: "", kind: "PodLogOptions" }, object.metadata.name ?? "", errors);
    const container = containerOf(object, query);
    const request: NodeRequest = { type: "logs", pod: placeOf(object), container, options };
    return { node: object.spec?.nodeName ?? "", request };
  },
};

function readLogOptions(query: URLSearchParams): { options: LogOptions; errors: FieldError[] } {
  const isOn = (name: string): boolean => isTrue(query.get(name));
  const options: LogOptions = {
    follow: isOn("follow"),
    previous: isOn("previous"),
    timestamps: isOn("timestamps"),
  };
  for (const name of ["sinceSeconds", "tailLines", "limitBytes"] as const) {
    const text = query.get(name) ?? "";
    if (text === "") continue;
    if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing "${text}": invalid syntax`);
    options[name] = Number(text);
  }
  const sinceTime = query.get("sinceTime") ?? "";
  if (sinceTime !== "") options.sinceTime = sinceTime;
  return { options, errors: validateLogOptions(options) };
}

function validateLogOptions({ tailLines, limitBytes, sinceSeconds, sinceTime }: LogOptions): FieldError[] {
  const errors: FieldError[] = [];
  if (tailLines !== undefined && tailLines < 0) {
    errors.push(invalidValue("tailLines", tailLines, "must be greater than or equal to 0"));
  }
  if (limitBytes !== undefined && limitBytes < 1) {
    errors.push(invalidValue("limitBytes", limitBytes, "must be greater than 0"));
  }
  if (sinceSeconds !== undefined && sinceTime !== undefined) {
    errors.push(forbiddenValue("", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
  } else if (sinceSeconds !== undefined && sinceSeconds < 1) {
    errors.push(invalidValue("sinceSeconds", sinceSeconds, "must be greater than 0"));
  }
  return errors;
}

export const exec: ConnectSubresource<Pod> = {
  type: "connect",
  verbs: ["get", "post"],
  accepts: { group: "", version: "v1", kind: "PodExecOptions" },
  target: session("exec"),
};

export const attach: ConnectSubresource<Pod> = {
  type: "connect",
  verbs: ["get", "post"],
  accepts: { group: "", version: "v1", kind: "PodAttachOptions" },
  target: session("attach"),
};

export const portforward: ConnectSubresource<Pod> = {
  type: "connect",
  verbs: ["get", "post"],
  accepts: { group: "", version: "v1", kind: "PodPortForwardOptions" },
  target(object, query) {
    const ports = query.getAll("ports").flatMap(portsOf);
    return { node: nodeOf(object), request: { type: "portForward", pod: placeOf(object), ports } };
  },
};

/** Ports of one value, separated by commas. Throws BadRequest as upstream does (Convert_Slice_string_To_Slice_int32). */
function portsOf(value: string): number[] {
  return value.split(",").map((text) => {
    const isNumber = /^\d+$/.test(text);
    if (isNumber && Number(text) < 65_536) return Number(text);
    const why = isNumber ? "value out of range" : "invalid syntax";
    throw badRequest(`cannot convert to []int32: strconv.ParseUint: parsing ${JSON.stringify(text)}: ${why}`);
  });
}
