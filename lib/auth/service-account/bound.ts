import { type KubernetesObject, nodes, pods, secrets, type TokenOptions } from "#api";
import { badRequest, conflict, isReason } from "#base";
import type { Client } from "#client";
import type { Bound, Reference } from "./claims.ts";

const referenceTo = ({ metadata: { name = "", uid = "" } }: KubernetesObject): Required<Reference> => ({ name, uid });

/** A group, version and kind as Go prints them. */
const printed = (apiVersion: string, kind: string): string =>
  `${apiVersion.includes("/") ? "" : "/"}${apiVersion}, Kind=${kind}`;

/**
 * Reads the object that a token will be bound to. Throws ApiError as upstream's TokenREST: NotFound for a missing
 * object, BadRequest for a pod of another account or for another kind, Conflict for another uid.
 */
export async function boundTo(
  client: Client,
  account: KubernetesObject,
  reference: NonNullable<TokenOptions["bound"]>,
): Promise<Bound> {
  const { apiVersion = "", kind = "", name = "", uid = "" } = reference;
  const { namespace } = account.metadata;
  const { bound, is } = await find();
  if (uid === "" || uid === is) return bound;
  const why = `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`;
  throw conflict({ group: "", resource: kind }, name, why);

  async function find(): Promise<{ bound: Bound; is: string }> {
    if (!apiVersion.includes("/")) {
      if (kind === "Pod") return ofPod();
      if (kind === "Node") {
        const node = referenceTo(await client.get(nodes, { name }));
        return { bound: { node }, is: node.uid };
      }
      if (kind === "Secret") {
        const secret = referenceTo(await client.get(secrets, { namespace, name }));
        return { bound: { secret }, is: secret.uid };
      }
    }
    throw badRequest(`cannot bind token to object of type ${printed(apiVersion, kind)}`);
  }

  async function ofPod(): Promise<{ bound: Bound; is: string }> {
    const found = await client.get(pods, { namespace, name });
    const own = account.metadata.name ?? "";
    if (found.spec?.serviceAccountName !== own) {
      const why = `cannot bind token for serviceaccount "${own}" to pod running with different serviceaccount name.`;
      throw badRequest(why);
    }
    const pod = referenceTo(found);
    const { nodeName } = found.spec;
    return { bound: { pod, ...(nodeName ? { node: await nodeOf(nodeName) } : {}) }, is: pod.uid };
  }

  async function nodeOf(nodeName: string): Promise<Reference> {
    const there = await client.get(nodes, { name: nodeName }).catch((error: unknown) => {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    });
    return there ? referenceTo(there) : { name: nodeName };
  }
}
