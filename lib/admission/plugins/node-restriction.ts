import {
  apiReferenceOf,
  csiDrivers,
  csiNodes,
  leases,
  mirrorAnnotation,
  type Node,
  nodes,
  type Pod,
  pods,
  serviceAccounts,
  type TokenRequest,
} from "#api";
import { deepEqual, forbidden, ignoreNotFound } from "#base";
import type { AdmissionContext, AdmissionRequest, Plugin } from "../port.ts";

const prefix = "system:node:";
const group = "system:nodes";

/** The node whose agent the user is; undefined for other users. */
const nodeOf = (user: AdmissionRequest["user"]): string | undefined =>
  user.groups.includes(group) && user.name.startsWith(prefix) ? user.name.slice(prefix.length) : undefined;

/**
 * An agent writes only its own node, the lease and the CSINode of that node, and pods that are bound to it, and gets
 * tokens only for those pods (upstream's NodeRestriction).
 */
export const nodeRestriction: Plugin = {
  name: "NodeRestriction",
  async validate(request, context) {
    const node = nodeOf(request.user);
    if (node === undefined) return;
    if (request.kind === pods) await checkPod(request, node, context);
    else if (request.kind === nodes) checkNode(request, node);
    else if (request.kind === leases) checkLease(request, node);
    else if (request.kind === csiNodes) checkCsiNode(request, node);
    else if (request.kind === serviceAccounts && request.subresource === "token")
      await checkToken(request, node, context);
  },
};

async function checkPod(request: AdmissionRequest, node: string, context: AdmissionContext): Promise<void> {
  const { operation, subresource, name } = request;
  const refuse = (why: string) => forbidden({ group: "", resource: pods.plural }, name, why);
  const object = request.object as Pod | undefined;
  const previous = request.previous as Pod | undefined;
  if (operation === "CREATE") {
    if (object?.metadata.annotations?.[mirrorAnnotation] === undefined) {
      throw refuse(`pod does not have "${mirrorAnnotation}" annotation, node "${node}" can only create mirror pods`);
    }
    if (object.spec?.nodeName !== node)
      throw refuse(`node "${node}" can only create pods with spec.nodeName set to itself`);
    await checkOwner(object, node, context, refuse);
    const referred = apiReferenceOf(object);
    if (referred !== undefined) throw refuse(`node "${node}" can not create pods that reference ${referred}`);
    return;
  }
  if (operation === "UPDATE" && subresource !== "status") throw refuse(`unexpected pod subresource "${subresource}"`);
  const home = previous?.spec?.nodeName;
  if (home === node) {
    if (operation === "UPDATE" && !deepEqual(object?.metadata.labels ?? {}, previous?.metadata.labels ?? {}))
      throw refuse(`node "${node}" cannot update labels through pod status`);
    return;
  }
  const what = operation === "DELETE" ? "delete pods" : "update pod status for pods";
  throw refuse(`node "${node}" can only ${what} with spec.nodeName set to itself`);
}

/** Upstream's rule (MirrorPodNodeRestriction): the owner of a mirror pod is its node. */
async function checkOwner(
  { metadata }: Pod,
  node: string,
  { client }: AdmissionContext,
  refuse: (why: string) => Error,
): Promise<void> {
  const [owner, ...others] = metadata.ownerReferences ?? [];
  if (others.length > 0)
    throw refuse(`node "${node}" can only create pods with a single owner reference set to itself`);
  if (owner?.apiVersion !== "v1" || owner.kind !== "Node" || owner.name !== node)
    throw refuse(`node "${node}" can only create pods with an owner reference set to itself`);
  if (!owner.controller)
    throw refuse(`node "${node}" can only create pods with a controller owner reference set to itself`);
  if (owner.blockOwnerDeletion) throw refuse(`node "${node}" must not set blockOwnerDeletion on an owner reference`);
  const { uid } = (await client.get(nodes, { name: node })).metadata;
  if (owner.uid !== uid) throw refuse(`node ${node} UID mismatch: expected ${owner.uid} got ${uid}`);
}

function checkNode(request: AdmissionRequest, node: string): void {
  const { name, operation, object, previous } = request;
  const refuse = (why: string) => forbidden({ group: "", resource: nodes.plural }, name, why);
  const target = name !== "" ? name : (object?.metadata.name ?? "");
  if (target !== node) throw refuse(`node "${node}" is not allowed to modify node "${target}"`);
  if (operation === "DELETE") throw refuse(`node "${node}" cannot delete itself`);
  const labels = object?.metadata.labels ?? {};
  if (operation === "CREATE") {
    const refused = forbiddenLabels(labels, {});
    if (refused === "") return;
    throw refuse(`node "${node}" is not allowed to set the following labels: ${refused}`);
  }
  const taints = (value: unknown) => (value as Node | undefined)?.spec?.taints ?? [];
  if (!deepEqual(taints(object), taints(previous))) throw refuse(`node "${node}" is not allowed to modify taints`);
  const owners = (value: typeof object) => value?.metadata.ownerReferences ?? [];
  if (!deepEqual(owners(object), owners(previous))) {
    throw refuse(`node "${node}" is not allowed to modify ownerReferences`);
  }
  const refused = forbiddenLabels(labels, previous?.metadata.labels ?? {});
  if (refused !== "") throw refuse(`is not allowed to modify labels: ${refused}`);
}

type Labels = Readonly<Record<string, string>>;

/** Labels of Kubernetes' own that a kubelet sets on its node (upstream's kubelet/pkg/apis KubeletLabels). */
const kubeletLabels: ReadonlySet<string> = new Set([
  "kubernetes.io/hostname",
  "kubernetes.io/os",
  "kubernetes.io/arch",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/arch",
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
  "node.kubernetes.io/instance-type",
  "beta.kubernetes.io/instance-type",
]);

/** Whether a prefix is a domain or one of its subdomains. */
const isWithin = (prefix: string, ...domains: string[]): boolean =>
  domains.some((domain) => prefix === domain || prefix.endsWith(`.${domain}`));

/**
 * Changed labels that an agent may not change, since they steer pods to its node: node-restriction's, and those of
 * Kubernetes that kubelets do not set. Sorted and joined; "" where there are none.
 */
function forbiddenLabels(after: Labels, before: Labels): string {
  const changed = [...new Set([...Object.keys(after), ...Object.keys(before)])].filter(
    (key) => after[key] !== before[key],
  );
  const isForbidden = (key: string): boolean => {
    const slash = key.indexOf("/");
    const prefix = slash < 0 ? "" : key.slice(0, slash);
    if (isWithin(prefix, "node-restriction.kubernetes.io")) return true;
    if (!isWithin(prefix, "kubernetes.io", "k8s.io") || kubeletLabels.has(key)) return false;
    return !isWithin(prefix, "kubelet.kubernetes.io", "node.kubernetes.io");
  };
  return changed.filter(isForbidden).sort().join(", ");
}

/** Allows a token for a pod on the agent's node, for the audiences that the pod's volumes name. */
async function checkToken(request: AdmissionRequest, node: string, { client }: AdmissionContext): Promise<void> {
  const { namespace, name, user } = request;
  const refuse = (why: string) => forbidden({ group: "", resource: serviceAccounts.plural }, name, why);
  const { boundObjectRef: bound, audiences = [] } = (request.object as TokenRequest).spec;
  if (bound?.apiVersion !== "v1" || bound.kind !== "Pod" || !bound.name) {
    throw refuse("node requested token not bound to a pod");
  }
  if (!bound.uid) throw refuse("node requested token with a pod binding without a uid");
  const pod = await client.get(pods, { namespace, name: bound.name });
  if (bound.uid !== pod.metadata.uid) {
    const why = `the UID in the bound object reference (${bound.uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw refuse(why);
  }
  if (pod.spec?.nodeName !== node) throw refuse("node requested token bound to a pod scheduled on a different node");
  if (audiences.length > 1) throw refuse("node may only request 0 or 1 audiences");
  const [audience = ""] = audiences;
  const sources = (pod.spec.volumes ?? []).flatMap(({ projected }) => projected?.sources ?? []);
  const isNamed = sources.some(({ serviceAccountToken: token }) => token && (token.audience ?? "") === audience);
  if (isNamed || (await hasAudience(pod, audience, client))) return;
  const what = `audience ${JSON.stringify(audience)} not found in pod spec volume`;
  throw refuse(`${what}, ${user.name} is not authorized to request tokens for this audience`);
}

/** Whether the driver of one of the pod's CSI volumes requests tokens for the audience. */
async function hasAudience({ spec }: Pod, audience: string, client: AdmissionContext["client"]): Promise<boolean> {
  for (const name of new Set((spec?.volumes ?? []).map(({ csi }) => csi?.driver ?? ""))) {
    if (name === "") continue;
    const driver = await ignoreNotFound(client.get(csiDrivers, { name }));
    if (driver?.spec.tokenRequests?.some((request) => (request.audience ?? "") === audience)) return true;
  }
  return false;
}

function checkCsiNode({ name, object }: AdmissionRequest, node: string): void {
  const target = name !== "" ? name : (object?.metadata.name ?? "");
  if (target === node) return;
  const why = "can only access CSINode with the same name as the requesting node";
  throw forbidden({ group: csiNodes.group, resource: csiNodes.plural }, name, why);
}

function checkLease({ name, namespace, object }: AdmissionRequest, node: string): void {
  const refuse = (why: string) => forbidden({ group: leases.group, resource: leases.plural }, name, why);
  if (namespace !== "kube-node-lease") throw refuse(`can only access leases in the "kube-node-lease" system namespace`);
  const target = name !== "" ? name : (object?.metadata.name ?? "");
  if (target !== node) throw refuse("can only access node lease with the same name as the requesting node");
}
