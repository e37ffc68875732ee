import { configMaps, type Role, type RoleBinding, roleBindings, roles, type Secret, secrets } from "#api";
import { isReason } from "#base";
import type { Client } from "#client";

/** The ConfigMap with the address and the CA for clients. */
const clientsConfigMap = { namespace: "kube-public", name: "skiff-gateway" };
/**
 * The Secret with both for agents. Its content is not secret, but a writer of it can redirect agents, and so reach
 * every pod; writers of the system's Secrets can do so already.
 */
const nodesSecret = { namespace: "kube-system", name: "skiff-gateway-link" };

/** The address of a gateway, and the CA of its certificate in PEM. */
export interface Endpoint {
  /** Such as `https://10.0.1.5:6443`. */
  server: string;
  ca: string;
}

const encode = (text: string): string => Buffer.from(text).toString("base64");
const decode = (text = ""): string => Buffer.from(text, "base64").toString();

/** A role that may read one object, and its binding to a group, both with the object's name. */
function readers(what: { namespace: string; name: string }, resource: string, group: string) {
  const role: Role = {
    metadata: { ...what },
    rules: [{ apiGroups: [""], resources: [resource], resourceNames: [what.name], verbs: ["get"] }],
  };
  const binding: RoleBinding = {
    metadata: { ...what },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: what.name },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: group }],
  };
  return { role, binding };
}

async function allowRead(client: Client, { role, binding }: ReturnType<typeof readers>): Promise<void> {
  await created(client.create(roles, role));
  await created(client.create(roleBindings, binding));
}

/**
 * Publishes the gateway's endpoint to clients. Every authenticated user may read it, since clients verify the gateway
 * with it. Roles that exist are not written again.
 */
export async function publishToClients(client: Client, { server, ca }: Endpoint): Promise<void> {
  const data = { server, "ca.crt": ca };
  if (!(await created(client.create(configMaps, { metadata: { ...clientsConfigMap }, data }))))
    await client.patch(configMaps, clientsConfigMap, { data }, { type: "merge" });
  await allowRead(client, readers(clientsConfigMap, "configmaps", "system:authenticated"));
}

/** Publishes the gateway's endpoint to agents. The Secret is written last: the watch that reports it needs the role. */
export async function publishToNodes(client: Client, { server, ca }: Endpoint): Promise<void> {
  await allowRead(client, readers(nodesSecret, "secrets", "system:nodes"));
  const data = { server: encode(server), "ca.crt": encode(ca) };
  if (!(await created(client.create(secrets, { metadata: { ...nodesSecret }, type: "Opaque", data }))))
    await client.patch(secrets, nodesSecret, { data }, { type: "merge" });
}

/** The endpoint that is published to agents; undefined when none is. */
export async function nodesEndpoint(client: Client): Promise<Endpoint | undefined> {
  const secret = await found(client, nodesSecret);
  return secret && { server: decode(secret.data?.["server"]), ca: decode(secret.data?.["ca.crt"]) };
}

const found = (client: Client, name: typeof nodesSecret): Promise<Secret | undefined> =>
  client.get(secrets, name).catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });

/** True when the object was created; false when it existed. */
async function created(creation: Promise<unknown>): Promise<boolean> {
  try {
    await creation;
    return true;
  } catch (error) {
    if (isReason(error, "AlreadyExists")) return false;
    throw error;
  }
}
