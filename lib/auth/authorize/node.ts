import { type Pod, pods } from "#api";
import { isReason } from "#base";
import type { Client } from "#client";
import type { Attributes, Authorizer, Decision, RuleResolver, User } from "../port.ts";

const prefix = "system:node:";
const group = "system:nodes";

const isNode = ({ name, groups }: User): boolean => groups.includes(group) && name.startsWith(prefix);

/** Marks the listed rights of nodes as incomplete: they depend on the pods that a node runs. */
export const withNodes = (resolver: RuleResolver): RuleResolver => ({
  ...resolver,
  async rulesFor(user, namespace) {
    const found = await resolver.rulesFor(user, namespace);
    if (!isNode(user)) return found;
    const error = "node authorizer does not support user rule resolution";
    return { ...found, incomplete: true, error: found.error === "" ? error : `[${error}, ${found.error}]` };
  },
});

type Resource = NonNullable<Attributes["resource"]>;

const read = ["get", "list", "watch"];
const write = ["create", "update", "patch"];

/** The rights of every node on whole types, as in upstream's role system:node; NodeRestriction narrows the writes. */
const allowed: Record<string, readonly string[]> = {
  "/nodes": write,
  "/nodes/status": ["update", "patch"],
  "/services": read,
  "/endpoints": read,
  "/namespaces": read,
  "/events": write,
  "events.k8s.io/events": write,
  "/pods": ["create", "delete"],
  "/pods/status": ["update", "patch"],
  "/pods/eviction": ["create"],
  "discovery.k8s.io/endpointslices": read,
  "certificates.k8s.io/certificatesigningrequests": ["create", ...read],
  "storage.k8s.io/csidrivers": read,
};

/**
 * The rights of agents (upstream's Node authorizer): read what all nodes read, write their own objects, read the pods
 * that are bound to them, and read the ConfigMaps, Secrets and service accounts that these pods name; they may request
 * tokens of these accounts.
 */
export const nodes =
  (client: Client): Authorizer =>
  async (attributes) => {
    const { user, resource, verb } = attributes;
    if (!isNode(user)) return undefined;
    const node = user.name.slice(prefix.length);
    if (!resource) return attributes.path === `/link/${node}` ? { allowed: true } : undefined;
    const what = resource.subresource === "" ? resource.plural : `${resource.plural}/${resource.subresource}`;
    if (allowed[`${resource.group}/${what}`]?.includes(verb)) return { allowed: true };
    if (resource.group === leases.group && what === leases.plural) return mayUseLease(node, verb, resource);
    if (resource.group === csiNodes.group && what === csiNodes.plural) return mayUseCsiNode(node, verb, resource);
    if (resource.group !== "") return undefined;
    if (what === "nodes" && read.includes(verb)) return mayReadNode(node, attributes, resource);
    if (what === pods.plural && read.includes(verb)) return mayReadPods(client, node, attributes, resource);
    const isToken = what === "serviceaccounts/token" && verb === "create";
    if (isToken) return mayReadNamed(client, node, attributes, resource);
    if (["configmaps", "secrets", "serviceaccounts"].includes(what) && read.includes(verb)) {
      return mayReadNamed(client, node, attributes, resource);
    }
    return undefined;
  };

/** A node's lease has the node's name. */
const leases = { group: "coordination.k8s.io", plural: "leases", namespace: "kube-node-lease" };

function mayUseLease(node: string, verb: string, { namespace, name }: Resource): Decision {
  const no = (reason: string): Decision => ({ allowed: false, reason });
  if (!["get", "delete", ...write].includes(verb))
    return no("can only get, create, update, patch, or delete a node lease");
  if (namespace !== leases.namespace) return no(`can only access leases in the "${leases.namespace}" system namespace`);
  if (verb !== "create" && name !== node)
    return no("can only access node lease with the same name as the requesting node");
  return { allowed: true };
}

/** A node's CSINode has the node's name (upstream's authorizeCSINode). */
const csiNodes = { group: "storage.k8s.io", plural: "csinodes" };

function mayUseCsiNode(node: string, verb: string, { name }: Resource): Decision {
  const no = (reason: string): Decision => ({ allowed: false, reason });
  if (!["get", "delete", ...write].includes(verb)) {
    return no("can only get, create, update, patch, or delete a CSINode");
  }
  if (verb !== "create" && name !== node) {
    return no("can only access CSINode with the same name as the requesting node");
  }
  return { allowed: true };
}

/** The value of a field that a field selector requires. */
function selected(selector: string | undefined, field: string): string | undefined {
  const term = selector?.split(",").find((part) => part.startsWith(`${field}=`));
  return term?.slice(field.length + 1).replace(/^=/, "");
}

/** The name in a request's path, or the one name that its selector allows. */
const nameIn = ({ fieldSelector }: Attributes, { name }: Resource): string =>
  name !== "" ? name : (selected(fieldSelector, "metadata.name") ?? "");

function mayReadNode(node: string, attributes: Attributes, resource: Resource): Decision {
  const name = nameIn(attributes, resource);
  if (name === node) return { allowed: true };
  const what = name === "" ? "all nodes" : `'${name}'`;
  return { allowed: false, reason: `node '${node}' cannot read ${what}, only its own Node object` };
}

async function mayReadPods(
  client: Client,
  node: string,
  { verb, fieldSelector }: Attributes,
  resource: Resource,
): Promise<Decision> {
  if (verb !== "get" || resource.name === "") {
    if (selected(fieldSelector, "spec.nodeName") === node) return { allowed: true };
    return { allowed: false, reason: "can only list/watch pods with spec.nodeName field selector" };
  }
  const pod = await client.get(pods, resource).catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });
  // A deleted pod may be read: the agent learns of the deletion by the 404.
  if (!pod || pod.spec?.nodeName === node) return { allowed: true };
  return { allowed: false, reason: `no relationship found between node '${node}' and this object` };
}

async function mayReadNamed(
  client: Client,
  node: string,
  attributes: Attributes,
  resource: Resource,
): Promise<Decision> {
  const name = nameIn(attributes, resource);
  if (name === "") return { allowed: false, reason: "can only read an object of this type by its name" };
  const fields = [{ field: "spec.nodeName", equal: true, value: node }];
  const { items } = await client.list(pods, { namespace: resource.namespace, fields });
  if (items.some((pod) => names(pod, resource.plural, name))) return { allowed: true };
  return { allowed: false, reason: `no relationship found between node '${node}' and this object` };
}

/** Whether a pod refers to an object: by a volume, an environment, a pull secret, or as its account. */
function names({ spec }: Pod, plural: string, name: string): boolean {
  if (!spec) return false;
  if (plural === "serviceaccounts") return (spec.serviceAccountName ?? "default") === name;
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  if (plural === "secrets") {
    return (
      (spec.imagePullSecrets ?? []).some((secret) => secret.name === name) ||
      (spec.volumes ?? []).some(
        ({ secret, projected, csi }) =>
          secret?.secretName === name ||
          csi?.nodePublishSecretRef?.name === name ||
          projected?.sources?.some((source) => source.secret?.name === name),
      ) ||
      containers.some(
        ({ env, envFrom }) =>
          env?.some(({ valueFrom }) => valueFrom?.secretKeyRef?.name === name) ||
          envFrom?.some(({ secretRef }) => secretRef?.name === name),
      )
    );
  }
  return (
    (spec.volumes ?? []).some(
      ({ configMap, projected }) =>
        configMap?.name === name || projected?.sources?.some((source) => source.configMap?.name === name),
    ) ||
    containers.some(
      ({ env, envFrom }) =>
        env?.some(({ valueFrom }) => valueFrom?.configMapKeyRef?.name === name) ||
        envFrom?.some(({ configMapRef }) => configMapRef?.name === name),
    )
  );
}
