import type { PodApi, VolumeToken } from "#agent/pods";
import {
  configMaps,
  type Pod,
  pods,
  type Secret,
  type Service,
  secrets,
  serviceAccounts,
  type TokenRequest,
} from "#api";
import { type Clock, ignoreNotFound, parseTime } from "#base";
import type { Client } from "#client";
import { SharedReads } from "./shared-reads.ts";

/** Reads of the objects that pods name, shared by the pods of a node. Undefined: it does not exist. */
export const podObjects = (client: Client, clock: Clock) => ({
  configMaps: new SharedReads((namespace, name) => ignoreNotFound(client.get(configMaps, { namespace, name })), clock),
  secrets: new SharedReads<Secret | undefined>(
    (namespace, name) => ignoreNotFound<Secret>(client.get(secrets, { namespace, name })),
    clock,
  ),
});

/** The API as pods use it, over the client port. */
export function podApi(
  client: Client,
  objects: ReturnType<typeof podObjects>,
  services: (namespace: string) => Service[],
): PodApi {
  return {
    updateStatus: (pod) => client.update(pods, pod, { subresource: "status" }),
    get: (namespace, name) => client.get(pods, { namespace, name }),
    remove: async ({ metadata }) => {
      const { namespace, name = "", uid } = metadata;
      await client.delete(pods, { namespace, name }, { uid, gracePeriodSeconds: 0 });
    },
    configMap: (namespace, name) => objects.configMaps.fresh(namespace, name),
    secret: (namespace, name) => objects.secrets.fresh(namespace, name),
    services: async (namespace) => services(namespace),
  };
}

/**
 * Requests a token of the pod's service account that is bound to the pod. `expires` is in milliseconds since the
 * epoch.
 */
export async function requestToken(
  client: Client,
  { metadata, spec }: Pod,
  { audience, expirationSeconds }: VolumeToken,
): Promise<{ token: string; expires: number }> {
  const { namespace, name = "", uid } = metadata;
  const request: TokenRequest & { apiVersion: string; kind: string } = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata: {},
    spec: {
      audiences: audience === undefined ? [] : [audience],
      expirationSeconds,
      boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
    },
  };
  const account = { namespace, name: spec?.serviceAccountName ?? "default" };
  const { status } = (await client.createSubresource(serviceAccounts, account, "token", request)) as TokenRequest;
  if (!status) throw new Error("the server returned no token");
  return { token: status.token, expires: parseTime(status.expirationTimestamp) };
}
