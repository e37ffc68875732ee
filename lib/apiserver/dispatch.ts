import type { Verb } from "#api/meta";
import type { User } from "#auth";
import { ApiError, badRequest } from "#base";
import { text } from "./answer.ts";
import { subresourceVerbs, verbsOf } from "./registry.ts";
import type { ApiRequest, ApiResponse, RequestInfo } from "./request.ts";
import type { Call, Server } from "./server.ts";
import { action } from "./subresources/action.ts";
import { connect } from "./subresources/connect.ts";
import { question } from "./subresources/question.ts";
import { scale } from "./subresources/scale.ts";
import { create } from "./verbs/create.ts";
import { remove, removeCollection } from "./verbs/delete.ts";
import { get } from "./verbs/get.ts";
import { list } from "./verbs/list.ts";
import { patch } from "./verbs/patch.ts";
import { update } from "./verbs/update.ts";
import { watch } from "./verbs/watch.ts";

type Handler = (call: Call, request: ApiRequest) => Promise<ApiResponse>;

const handlers: Record<Verb, Handler> = {
  get,
  list,
  watch,
  create,
  update,
  patch,
  delete: remove,
  deletecollection: removeCollection,
};

export const pageNotFound = (): ApiResponse => text(404, "404 page not found\n");

/** What upstream's router says of paths below a group that it serves. */
export const resourceNotFound = (): ApiError =>
  new ApiError(404, "NotFound", "the server could not find the requested resource", {});
/** And of methods that a path does not take. */
export const methodNotAllowed = (): ApiError =>
  new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});

/** Answers a request for a resource: finds what it names and gives it to the verb or the subresource. */
export async function dispatch(
  server: Server,
  request: ApiRequest,
  info: RequestInfo,
  user: User,
  warnings: string[],
): Promise<ApiResponse> {
  if (!server.registry.serves(info.group)) return pageNotFound();
  const resource = server.registry.find(info.group, info.version, info.plural);
  if (!resource || resource.kind.internal || verbsOf(resource.kind).length === 0) throw resourceNotFound();
  const { kind } = resource;
  if (kind.deprecation !== undefined) warnings.push(kind.deprecation);
  const cluster = kind.scope === "Cluster";
  const call: Call = {
    server,
    resource,
    user,
    namespace: cluster ? "" : info.namespace,
    name: info.name,
    subresource: info.subresource,
    rest: info.rest,
    dryRun: false,
    warnings,
  };
  checkPathName(info.name);
  if ((info.rest !== "" && info.subresource !== "proxy") || info.name.includes("/")) throw resourceNotFound();
  const inside = cluster && info.namespace !== "" && info.name !== info.namespace;
  if (inside) throw resourceNotFound();
  if (!cluster && info.namespace === "") acrossNamespaces(request, info);
  if (info.subresource !== "") return subresource(call, request);
  const verb = info.verb as Verb;
  const handler = verbsOf(kind).includes(verb) ? handlers[verb] : undefined;
  if (info.name !== "" && !verbsOf(kind).some((known) => byName.includes(known))) throw resourceNotFound();
  if (!handler || request.method === "HEAD" || (info.name !== "" && verb === "create")) throw methodNotAllowed();
  if (verb === "watch" && info.name !== "") request.query.set("fieldSelector", onlyName(request, info.name));
  if ((verb === "update" || verb === "patch") && info.name === "") throw methodNotAllowed();
  return handler(call, request);
}

/** Names that no path can carry (upstream's IsValidPathSegmentName, as far as paths get here). */
function checkPathName(name: string): void {
  if (name !== "." && name !== "..") return;
  throw badRequest(`Name parameter invalid: "${name}": may not be '${name}'`);
}

const byName: readonly Verb[] = ["get", "update", "patch", "delete"];

/** Across all namespaces there is only reading: a namespace that was left out must not delete them all. */
function acrossNamespaces(request: ApiRequest, info: RequestInfo): void {
  if (info.verb === "list" || info.verb === "watch") return;
  if (/\/namespaces\/\//.test(request.path)) throw badRequest("Namespace parameter required.");
  throw info.name === "" ? methodNotAllowed() : resourceNotFound();
}

/** A watch of one object by its path is a watch of the collection with its name selected. */
function onlyName(request: ApiRequest, name: string): string {
  const asked = request.query.get("fieldSelector");
  const own = `metadata.name=${name}`;
  if (asked !== null && asked !== "" && asked !== own)
    throw badRequest("fieldSelector metadata.name doesn't match requested name");
  return own;
}

const partVerbs: Record<string, Verb> = { GET: "get", PUT: "update", PATCH: "patch" };

async function subresource(call: Call, request: ApiRequest): Promise<ApiResponse> {
  const { kind } = call.resource;
  const part = kind.subresources?.[call.subresource];
  if (!part || call.name === "") throw resourceNotFound();
  const { method } = request;
  const verb = partVerbs[method];
  const refused = methodNotAllowed;
  if (part.type === "connect") {
    if (verb !== "get" && !(method === "POST" && part.verbs.includes("post"))) throw refused();
    return connect(call, request, part);
  }
  if (part.type === "action") {
    if (method !== "POST") throw refused();
    return action(call, request, part);
  }
  if (part.type === "question") {
    if (method !== "POST") throw refused();
    return question(call, request, part);
  }
  if (part.type === "scale") {
    if (verb !== "get" && verb !== "update" && verb !== "patch") throw refused();
    return scale(call, request, part);
  }
  if (verb === undefined || !subresourceVerbs(part).includes(verb)) throw refused();
  return handlers[verb](call, request);
}
