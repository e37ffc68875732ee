import type { ConnectSubresource, KubernetesObject } from "#api/meta";
import { notFound, serviceUnavailable } from "#base";
import { admissionRequest, keyOf, kindOf, mutate, named, objectAs, validate } from "#resources";
import { text } from "../answer.ts";
import { requireAuthorized } from "../filters.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";

/** A subresource that the node answers: plain requests pass through, upgrades are joined to the node by the host. */
export async function connect(
  call: RequestScope,
  request: ApiRequest,
  part: ConnectSubresource<KubernetesObject>,
): Promise<ApiResponse> {
  const { server, resources, resource } = call;
  // A WebSocket begins with GET; a subresource that changes the object needs the right to create.
  const acts = part.verbs.includes("post");
  if (request.method !== "POST" && acts) await requireCreate(call, request);
  const entry = await resources.read(resource.type, keyOf(call.namespace, call.name));
  if (!entry) throw notFound(named(kindOf(call)), call.name);
  const object = objectAs(resources, resource, entry);
  const admission = admissionRequest(call, "CONNECT", { previous: object });
  await mutate(call, admission);
  await validate(call, admission);
  const target = part.target(object, request.query);
  const { node } = target;
  if (acts && request.headers["upgrade"] !== undefined) {
    return { status: 101, headers: {}, body: new Uint8Array(), tunnel: target };
  }
  // No node runs the pod yet: there is nothing to show.
  if (node === "") return text(200, "");
  if (!server.links) throw serviceUnavailable("this server has no connection to the nodes");
  const answer = await server.links.request(node, target.request, request.signal);
  return acts ? answer : { ...answer, messages: "bytes" };
}

/** Upstream's ensureAuthorizedForVerb (pkg/registry/core/pod/rest/authorize.go). */
function requireCreate({ server, user, resource, subresource, namespace, name }: RequestScope, { path }: ApiRequest) {
  const { group, version, plural } = resource.kind;
  const what = { group, version, plural, subresource, namespace, name };
  return requireAuthorized(server, { user, verb: "create", resource: what, path });
}
