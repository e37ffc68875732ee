import type { ConnectSubresource, KubernetesObject } from "#api/meta";
import { notFound, serviceUnavailable } from "#base";
import { text } from "../answer.ts";
import { demand } from "../filters.ts";
import { keyOf, objectAs } from "../objects.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { admissionRequest, type Call, kindOf, mutate, named, readEntry, validate } from "../server.ts";

/** A subresource that the node answers: plain requests pass through, upgrades are joined to the node by the host. */
export async function connect(
  call: Call,
  request: ApiRequest,
  part: ConnectSubresource<KubernetesObject>,
): Promise<ApiResponse> {
  const { server, resource } = call;
  // A WebSocket begins with GET. What acts on the object takes the right to do so, not only to read.
  const acts = part.verbs.includes("post");
  if (request.method !== "POST" && acts) await demandCreate(call, request);
  const entry = await readEntry(server, resource.type, keyOf(call.namespace, call.name));
  if (!entry) throw notFound(named(kindOf(call)), call.name);
  const object = objectAs(server, resource, entry);
  const admission = admissionRequest(call, "CONNECT", { previous: object });
  await mutate(server, admission);
  await validate(server, admission);
  const target = part.target(object, request.query, call.rest ?? "");
  const { node } = target;
  if (acts && request.headers["upgrade"] !== undefined) {
    return { status: 101, headers: {}, body: new Uint8Array(), tunnel: target };
  }
  // Nobody runs it yet: there is nothing to show.
  if (node === "") return text(200, "");
  if (!server.links) throw serviceUnavailable("this server has no way to the nodes");
  const answer = await server.links.request(node, target.request, request.signal);
  return acts ? answer : { ...answer, messages: "bytes" };
}

/** Upstream's ensureAuthorizedForVerb (pkg/registry/core/pod/rest/authorize.go). */
function demandCreate({ server, user, resource, subresource, namespace, name }: Call, { path }: ApiRequest) {
  const { group, version, plural } = resource.kind;
  const what = { group, version, plural, subresource, namespace, name };
  return demand(server, { user, verb: "create", resource: what, path });
}
