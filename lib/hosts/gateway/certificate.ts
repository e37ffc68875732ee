import { configMaps, type Role, type RoleBinding, roleBindings, roles, type Secret, secrets } from "#api";
import { type Certificate, createAuthority, issue } from "#auth/certificates";
import { type Clock, isReason } from "#base";
import type { Client } from "#client";

/**
 * The Secret with the CA of the gateway's certificate, and its key: in the cluster itself, so that every gateway has
 * the same. The CA authenticates the gateway only: no client certificate is accepted.
 */
const authoritySecret = { namespace: "kube-system", name: "skiff-gateway" };
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

const days = 90;

const encode = (text: string): string => Buffer.from(text).toString("base64");
const decode = (text = ""): string => Buffer.from(text, "base64").toString();

/** The CA. The first gateway creates it; of two at once, one uses the other's. */
export async function openAuthority(client: Client, clock: Clock): Promise<Certificate> {
  const read = async (): Promise<Certificate | undefined> => {
    const secret = await found(client, authoritySecret);
    return secret && { cert: decode(secret.data?.["tls.crt"]), key: decode(secret.data?.["tls.key"]) };
  };
  const existing = await read();
  if (existing) return existing;
  const { cert, key } = await createAuthority(clock.now());
  const data = { "tls.crt": encode(cert), "tls.key": encode(key) };
  const secret: Secret = { metadata: authoritySecret, type: "kubernetes.io/tls", data };
  try {
    await client.create(secrets, secret);
    return { cert, key };
  } catch (error) {
    const others = isReason(error, "AlreadyExists") ? await read() : undefined;
    if (!others) throw error;
    return others;
  }
}

/** A certificate for the gateway with these names and addresses, valid for 90 days. Its key is not stored. */
export const issueServer = (authority: Certificate, names: readonly string[], clock: Clock): Promise<Certificate> =>
  issue({
    authority,
    subject: { commonName: "kube-apiserver" },
    names: [...new Set([...names, "localhost", "127.0.0.1"])],
    days,
    now: clock.now(),
  });

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

const found = (client: Client, name: typeof authoritySecret): Promise<Secret | undefined> =>
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
