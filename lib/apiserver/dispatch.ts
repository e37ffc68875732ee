import type { Subresource, Verb } from "#api/meta";
import type { User } from "#auth";
import { badRequest } from "#base";
import { defaultOptions, isServed, type Resource, subresourceVerbs, verbsOf } from "#resources";
import { text } from "./answer.ts";
import { type OptionsKind, readOptions } from "./options.ts";
import type { ApiRequest, ApiResponse, RequestInfo } from "./request.ts";
import { methodNotAllowed, resourceNotFound } from "./router-errors.ts";
import type { RequestScope, Server } from "./server.ts";
import { command } from "./subresources/command.ts";
import { connect } from "./subresources/connect.ts";
import { proxy } from "./subresources/proxy.ts";
import { review } from "./subresources/review.ts";
import { scale } from "./subresources/scale.ts";
import { create } from "./verbs/create.ts";
import { remove, removeCollection } from "./verbs/delete.ts";
import { get } from "./verbs/get.ts";
import { list } from "./verbs/list.ts";
import { patch } from "./verbs/patch.ts";
import { update } from "./verbs/update.ts";
import { watch } from "./verbs/watch.ts";

/** A verb: its handler, and the options that are read before the handler runs. */
export interface VerbHandler {
  /** Absent for verbs that only read. */
  options?: OptionsKind;
  answer(call: RequestScope, request: ApiRequest): Promise<ApiResponse>;
}

/** The verbs of resources. */
export const verbHandlers: Readonly<Record<string, VerbHandler>> = {
  get: { answer: get },
  list: { answer: list },
  watch: { answer: watch },
  create: { options: "CreateOptions", answer: create },
  update: { options: "UpdateOptions", answer: update },
  patch: { options: "PatchOptions", answer: patch },
  delete: { options: "DeleteOptions", answer: remove },
  deletecollection: { options: "DeleteOptions", answer: removeCollection },
} satisfies Record<Verb, VerbHandler>;

export const pageNotFound = (): ApiResponse => text(404, "404 page not found\n");

export interface Dispatch {
  info: RequestInfo;
  user: User;
  /** Receives warnings for the client. */
  warnings: string[];
  /** Defaults to the verbs of resources. */
  handlers?: Readonly<Record<string, VerbHandler>>;
}

/**
 * Answers a request for a resource: finds the resource and the handler, reads the options, and calls the handler with
 * them. Throws ApiError 404 and 405 as upstream's router.
 */
export async function dispatch(server: Server, request: ApiRequest, dispatched: Dispatch): Promise<ApiResponse> {
  const { info, user, warnings, handlers = verbHandlers } = dispatched;
  const { resources } = server;
  if (!resources.registry.serves(info.group)) return pageNotFound();
  const resource = resources.registry.find(info.group, info.version, info.plural);
  if (!resource || !isServed(resource.kind)) throw resourceNotFound();
  const { kind } = resource;
  if (kind.deprecation !== undefined) warnings.push(kind.deprecation);
  checkPath(request, info, kind.scope === "Cluster");
  const handler =
    info.subresource === ""
      ? verbHandler(request, info, { resource, handlers })
      : subresourceHandler(request, info, { resource, handlers });
  const scope: RequestScope = {
    server,
    resources,
    resource,
    user,
    access: server.access,
    namespace: kind.scope === "Cluster" ? "" : info.namespace,
    name: info.name,
    subresource: info.subresource,
    rest: info.rest,
    options: handler.options ? await readOptions(request, handler.options) : defaultOptions,
    warnings,
  };
  return handler.answer(scope, request);
}

/** Throws for a path that no resource of this scope has. */
function checkPath(request: ApiRequest, info: RequestInfo, isCluster: boolean): void {
  checkPathName(info.name);
  if ((info.rest !== "" && info.subresource !== "proxy") || info.name.includes("/")) throw resourceNotFound();
  if (isCluster && info.namespace !== "" && info.name !== info.namespace) throw resourceNotFound();
  if (!isCluster && info.namespace === "") acrossNamespaces(request, info);
}

interface Target {
  resource: Resource;
  handlers: Readonly<Record<string, VerbHandler>>;
}

function verbHandler(request: ApiRequest, info: RequestInfo, { resource: { kind }, handlers }: Target): VerbHandler {
  const verb = info.verb as Verb;
  const handler = verbsOf(kind).includes(verb) ? handlers[verb] : undefined;
  if (info.name !== "" && !verbsOf(kind).some((known) => byName.includes(known))) throw resourceNotFound();
  if (!handler || request.method === "HEAD" || (info.name !== "" && verb === "create")) throw methodNotAllowed();
  if (verb === "watch" && info.name !== "") request.query.set("fieldSelector", onlyName(request, info.name));
  if ((verb === "update" || verb === "patch") && info.name === "") throw methodNotAllowed();
  return handler;
}

/** Names that a path cannot have (upstream's IsValidPathSegmentName). */
function checkPathName(name: string): void {
  if (name !== "." && name !== "..") return;
  throw badRequest(`Name parameter invalid: "${name}": may not be '${name}'`);
}

const byName: readonly Verb[] = ["get", "update", "patch", "delete"];

/** Only list and watch work across all namespaces: a path without a namespace must not delete objects of all of them. */
function acrossNamespaces(request: ApiRequest, info: RequestInfo): void {
  if (info.verb === "list" || info.verb === "watch") return;
  if (/\/namespaces\/\//.test(request.path)) throw badRequest("Namespace parameter required.");
  throw info.name === "" ? methodNotAllowed() : resourceNotFound();
}

/** A watch of one object by its path is a watch of the collection that selects its name. */
function onlyName(request: ApiRequest, name: string): string {
  const selector = request.query.get("fieldSelector");
  const own = `metadata.name=${name}`;
  if (selector !== null && selector !== "" && selector !== own)
    throw badRequest("fieldSelector metadata.name doesn't match requested name");
  return own;
}

/** Methods that upstream's proxies pass on. */
const proxyMethods = new Set(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]);
const partVerbs: Readonly<Record<string, Verb>> = { GET: "get", PUT: "update", PATCH: "patch" };

function subresourceHandler({ method }: ApiRequest, info: RequestInfo, { resource, handlers }: Target): VerbHandler {
  const part = resource.kind.subresources?.[info.subresource];
  if (!part || info.name === "") throw resourceNotFound();
  const verb = partVerbs[method];
  const handler = handlerOf(part, method, verb);
  if (handler) return handler;
  const isObject = part.type === "status" || part.type === "partialUpdate";
  if (!isObject || verb === undefined || !subresourceVerbs(part).includes(verb)) throw methodNotAllowed();
  return handlers[verb]!;
}

/** The handler of a subresource with a type of its own; undefined for methods that it lacks. */
function handlerOf(part: Subresource<never>, method: string, verb: Verb | undefined): VerbHandler | undefined {
  const isPost = method === "POST";
  switch (part.type) {
    case "connect":
      if (verb !== "get" && !(isPost && part.verbs.includes("post"))) return undefined;
      return { answer: (call, request) => connect(call, request, part) };
    case "proxy":
      return proxyMethods.has(method) ? { answer: (call, request) => proxy(call, request, part) } : undefined;
    case "command":
      return isPost ? { options: "CreateOptions", answer: (call, request) => command(call, request, part) } : undefined;
    case "review":
      return isPost ? { options: "CreateOptions", answer: (call, request) => review(call, request, part) } : undefined;
    case "scale": {
      const answer: VerbHandler["answer"] = (call, request) => scale(call, request, part);
      if (verb === "get") return { answer };
      if (verb === "update") return { options: "UpdateOptions", answer };
      return verb === "patch" ? { options: "PatchOptions", answer } : undefined;
    }
    default:
      return undefined;
  }
}
