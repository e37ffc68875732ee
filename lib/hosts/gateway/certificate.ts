import { configMaps, type Role, type RoleBinding, roleBindings, roles, type Secret, secrets } from "#api";
import { type Certificate, createAuthority, issue } from "#auth/certificates";
import { type Clock, isReason } from "#base";
import type { Client } from "#client";

/**
 * Where the authority lies that clients check the gateway by, with its key: in the cluster itself, so that every
 * gateway that ever runs has the same. It vouches for the gateway and for nobody else: no certificate lets anybody in.
 */
const kept = { namespace: "kube-system", name: "skiff-gateway" };
/** Where people find the address and the authority's certificate. */
const shown = { namespace: "kube-public", name: "skiff-gateway" };
/**
 * Where agents find both. Not where people do, though there is nothing secret in it: whoever may write here says to
 * whom agents open their pods, and who writes the system's secrets has that power already.
 */
const linked = { namespace: "kube-system", name: "skiff-gateway-link" };

/** Where a gateway is, and the authority of its certificate in PEM. */
export interface Place {
  /** Such as `https://10.0.1.5:6443`. */
  server: string;
  ca: string;
}

const days = 90;

const encode = (text: string): string => Buffer.from(text).toString("base64");
const decode = (text = ""): string => Buffer.from(text, "base64").toString();

/** The authority, made by the first gateway that asks: of two at once, one finds the other's. */
export async function openAuthority(client: Client, clock: Clock): Promise<Certificate> {
  const read = async (): Promise<Certificate | undefined> => {
    const there = await found(client, kept);
    return there && { cert: decode(there.data?.["tls.crt"]), key: decode(there.data?.["tls.key"]) };
  };
  const there = await read();
  if (there) return there;
  const { cert, key } = await createAuthority(clock.now());
  const data = { "tls.crt": encode(cert), "tls.key": encode(key) };
  const made: Secret = { metadata: kept, type: "kubernetes.io/tls", data };
  try {
    await client.create(secrets, made);
    return { cert, key };
  } catch (error) {
    const others = isReason(error, "AlreadyExists") ? await read() : undefined;
    if (!others) throw error;
    return others;
  }
}

/** A certificate for the gateway under these names and addresses, good for 90 days; its key is kept nowhere. */
export const issueServer = (authority: Certificate, names: readonly string[], clock: Clock): Promise<Certificate> =>
  issue({
    authority,
    subject: { commonName: "kube-apiserver" },
    names: [...new Set([...names, "localhost", "127.0.0.1"])],
    days,
    now: clock.now(),
  });

/** Who may read what is shown: the objects that say so, under the same name. */
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

async function letRead(client: Client, { role, binding }: ReturnType<typeof readers>): Promise<void> {
  await created(client.create(roles, role));
  await created(client.create(roleBindings, binding));
}

/**
 * Tells people where the gateway is and what checks it. Everybody who is known may read it: without it nobody can check
 * the gateway. What is there already is not written again.
 */
export async function show(client: Client, { server, ca }: Place): Promise<void> {
  const data = { server, "ca.crt": ca };
  if (!(await created(client.create(configMaps, { metadata: { ...shown }, data }))))
    await client.patch(configMaps, shown, { data }, { type: "merge" });
  await letRead(client, readers(shown, "configmaps", "system:authenticated"));
}

/** Tells agents where to dial. What they may read comes last: they are told of it when it is there. */
export async function showToNodes(client: Client, { server, ca }: Place): Promise<void> {
  await letRead(client, readers(linked, "secrets", "system:nodes"));
  const data = { server: encode(server), "ca.crt": encode(ca) };
  if (!(await created(client.create(secrets, { metadata: { ...linked }, type: "Opaque", data }))))
    await client.patch(secrets, linked, { data }, { type: "merge" });
}

/** Where nodes are told to dial; undefined where nobody has told them. */
export async function shownToNodes(client: Client): Promise<Place | undefined> {
  const there = await found(client, linked);
  return there && { server: decode(there.data?.["server"]), ca: decode(there.data?.["ca.crt"]) };
}

const found = (client: Client, name: typeof kept): Promise<Secret | undefined> =>
  client.get(secrets, name).catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });

/** Whether it was made now; false when it was there. */
async function created(making: Promise<unknown>): Promise<boolean> {
  try {
    await making;
    return true;
  } catch (error) {
    if (isReason(error, "AlreadyExists")) return false;
    throw error;
  }
}
