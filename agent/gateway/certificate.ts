import {
  configMap as configMaps,
  type Role,
  type RoleBinding,
  roleBinding as roleBindings,
  role as roles,
  type Secret,
  secret as secrets,
} from "#api";
import { type Certificate, createAuthority, issue } from "#auth/certificates";
import { type Clock, clone, isReason } from "#base";
import type { Client } from "#client";

/**
 * Where the authority lies that clients check the gateway by, with its key: in the cluster itself, so that every
 * gateway that ever runs has the same. It vouches for the gateway and for nobody else: no certificate lets anybody in.
 */
const kept = { namespace: "kube-system", name: "skiff-gateway" };
/** Where people find the address and the authority's certificate. */
const shown = { namespace: "kube-public", name: "skiff-gateway" };

const days = 90;

const encode = (text: string): string => Buffer.from(text).toString("base64");
const decode = (text = ""): string => Buffer.from(text, "base64").toString();

/** The authority, made by the first gateway that asks: of two at once, one finds the other's. */
export async function openAuthority(client: Client, clock: Clock): Promise<Certificate> {
  const read = async (): Promise<Certificate | undefined> => {
    const there = await client.get(secrets, kept).catch((error: unknown) => {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    });
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

/** A certificate for the gateway, good for 90 days; its key is kept nowhere. */
export const issueServer = (authority: Certificate, name: string, clock: Clock): Promise<Certificate> =>
  issue({
    authority,
    subject: { commonName: "kube-apiserver" },
    names: [name, "localhost", "127.0.0.1"],
    days,
    now: clock.now(),
  });

/** Everybody who is known may read it: without it nobody can check the gateway. */
const readers: { role: Role; binding: RoleBinding } = {
  role: {
    metadata: shown,
    rules: [{ apiGroups: [""], resources: ["configmaps"], resourceNames: [shown.name], verbs: ["get"] }],
  },
  binding: {
    metadata: shown,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: shown.name },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "system:authenticated" }],
  },
};

/** Tells where the gateway is and what checks it. What is there already is not written again. */
export async function show(client: Client, server: string, ca: string): Promise<void> {
  const data = { server, "ca.crt": ca };
  if (!(await created(client.create(configMaps, { metadata: shown, data }))))
    await client.patch(configMaps, shown, { data }, { type: "merge" });
  await created(client.create(roles, clone(readers.role)));
  await created(client.create(roleBindings, clone(readers.binding)));
}

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
