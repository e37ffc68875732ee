import { type AccessAttributes, parseFieldSelector, pathSegmentErrors } from "#api/meta";
import { isOpen, type User } from "#auth";
import { ApiError, badRequest, forbidden, tooManyRequests, unauthorized } from "#base";
import type { Trail } from "./audit.ts";
import { booleanOption } from "./query.ts";
import { type ApiRequest, type RequestInfo, valuesOf } from "./request.ts";
import type { Server } from "./server.ts";

const anonymous: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

/**
 * Authenticates the request. Without credentials its user is anonymous, with the rights that roles give to
 * `system:unauthenticated`. Throws ApiError 401 for an unknown token, and where anonymous requests are limited to open
 * paths.
 */
export async function authenticate(server: Server, request: ApiRequest): Promise<User> {
  const credentials = {
    headers: request.headers,
    ...(request.peer?.certificate ? { certificate: request.peer.certificate } : {}),
    ...(request.peer?.principal ? { principal: request.peer.principal } : {}),
  };
  for (const authenticator of server.authenticators) {
    const user = await authenticator(credentials);
    if (user) return user;
  }
  const hasToken = /^bearer +\S/i.test(request.headers["authorization"] ?? "");
  if (!hasToken && (server.anonymous !== "open-paths" || isOpen(request.path))) return anonymous;
  throw unauthorized();
}

const header = { user: "impersonate-user", uid: "impersonate-uid", group: "impersonate-group" };
const extraPrefix = "impersonate-extra-";
const authenticationGroup = "authentication.k8s.io";

/** The user that a request impersonates; undefined where it impersonates none. Throws ApiError 400 for headers without a user. */
function wantedUser(request: ApiRequest): Required<User> | undefined {
  const name = request.headers[header.user] ?? "";
  const uid = request.headers[header.uid] ?? "";
  const groups = valuesOf(request, header.group);
  const extra: Record<string, readonly string[]> = {};
  for (const key of Object.keys(request.headers)) {
    if (key.startsWith(extraPrefix)) extra[decoded(key.slice(extraPrefix.length))] = valuesOf(request, key);
  }
  if (name !== "") return { name, uid, groups, extra };
  if (uid === "" && groups.length === 0 && Object.keys(extra).length === 0) return undefined;
  throw badRequest("requested impersonation without impersonating a user name");
}

/**
 * Impersonates another user (`--as`). The sender needs the verb `impersonate` on the user or service account, on each
 * group, on the uid and on each extra value. Throws ApiError 403 without these rights.
 */
export async function impersonate(server: Server, request: ApiRequest, user: User): Promise<User> {
  const wanted = wantedUser(request);
  if (!wanted) return user;
  const { name, uid, extra } = wanted;
  const requireImpersonate = async (
    plural: string,
    what: string,
    more: { group?: string; namespace?: string; part?: string } = {},
  ) => {
    const { group = "", namespace = "", part: subresource = "" } = more;
    const resource = { group, version: "v1", plural, subresource, namespace, name: what };
    await requireAuthorized(server, { user, verb: "impersonate", resource, path: "" });
  };
  const [, accountNamespace, accountName] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name) ?? [];
  if (accountName === undefined) await requireImpersonate("users", name);
  else await requireImpersonate("serviceaccounts", accountName, { namespace: accountNamespace! });
  if (uid !== "") await requireImpersonate("uids", uid, { group: authenticationGroup });
  for (const group of wanted.groups) await requireImpersonate("groups", group);
  for (const [part, values] of Object.entries(extra)) {
    for (const value of values) await requireImpersonate("userextras", value, { group: authenticationGroup, part });
  }
  return { name, ...(uid === "" ? {} : { uid }), extra, groups: impersonatedGroups(wanted, accountNamespace) };
}

/** Groups of the impersonated user: those requested or a service account's own, and system:authenticated or system:unauthenticated. */
function impersonatedGroups({ name, groups }: User, accountNamespace: string | undefined): string[] {
  const own =
    groups.length === 0 && accountNamespace !== undefined
      ? ["system:serviceaccounts", `system:serviceaccounts:${accountNamespace}`]
      : [...groups];
  const unknown = "system:unauthenticated";
  const last = name === anonymous.name || own.includes(unknown) ? unknown : "system:authenticated";
  return own.includes(last) ? own : [...own, last];
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

/** Throws ApiError 403 in upstream's words unless an authorizer allows the request. */
export async function authorize(
  server: Server,
  request: ApiRequest,
  info: RequestInfo,
  user: User,
  trail: Trail,
): Promise<void> {
  const { group, version, plural, subresource, namespace } = info;
  const fieldSelector = request.query.get("fieldSelector") ?? undefined;
  const name = info.name === "" ? selectedName(info.verb, fieldSelector) : info.name;
  const resource = { group, version, plural, subresource, namespace, name };
  const attributes = {
    user,
    verb: info.verb,
    path: info.path,
    ...(info.resource ? { resource } : {}),
    fieldSelector,
  };
  const decision = (await server.authorize(attributes)) ?? { allowed: false, reason: "" };
  trail.decision = decision;
  if (!decision.allowed) throw refused(attributes, decision.reason);
}

/** Throws ApiError 403 in upstream's words unless an authorizer allows the action. */
export async function requireAuthorized(server: Server, attributes: AccessAttributes): Promise<void> {
  const decision = await server.authorize(attributes);
  if (!decision?.allowed) throw refused(attributes, decision?.reason);
}

/** The one name that a list or watch selects: a user with rights on that object may list and watch it (upstream's RequestInfo). */
function selectedName(verb: string, fieldSelector: string | undefined): string {
  if (fieldSelector === undefined || (verb !== "list" && verb !== "watch")) return "";
  try {
    const term = parseFieldSelector(fieldSelector).find(({ field, equal }) => equal && field === "metadata.name");
    return term && pathSegmentErrors(term.value).length === 0 ? term.value : "";
  } catch {
    // The verb reports what is wrong with it, after authorization.
    return "";
  }
}

/** Upstream escapes characters that could turn a message into HTML. */
const marks: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

function refused({ user, verb, resource, path }: AccessAttributes, reason = ""): ApiError {
  const who = JSON.stringify(user.name);
  const tail = reason === "" ? "" : `: ${reason}`;
  const clean = (message: string) => `${message.replace(/[&<>]/g, (mark) => marks[mark]!)}${tail}`;
  if (!resource) {
    return new ApiError(403, "Forbidden", `forbidden: ${clean(`User ${who} cannot ${verb} path "${path}"`)}`, {});
  }
  const { group, plural, subresource, namespace, name } = resource;
  const what = subresource === "" ? plural : `${plural}/${subresource}`;
  const scope = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  const why = `User ${who} cannot ${verb} resource "${what}" in API group "${group}" ${scope}`;
  return forbidden({ group, resource: plural }, name, clean(why));
}

const units = "ns|us|\u00b5s|\u03bcs|ms|s|m|h";
const durations = new RegExp(`^[+-]?(?:0|(?:(?:\\d+(?:\\.\\d*)?|\\.\\d+)(?:${units}))+)$`);

/**
 * Checks the `timeout` parameter; the host decides how long an answer may take. Throws ApiError 400 in the words of Go's
 * time.ParseDuration.
 */
export function checkTimeout({ query }: ApiRequest): void {
  const text = query.get("timeout") ?? "";
  if (text === "" || durations.test(text)) return;
  const shown = JSON.stringify(text);
  const [, unit] = /^[+-]?(?:\d+\.?\d*|\.\d+)([^\d.]*)/.exec(text) ?? [];
  let why = `invalid duration ${shown}`;
  if (unit === "") why = `missing unit in duration ${shown}`;
  else if (unit !== undefined) why = `unknown unit ${JSON.stringify(unit)} in duration ${shown}`;
  throw badRequest(`invalid timeout specified in the request URL - time: ${why}`);
}

/** Whether a request may last: its time is not limited and it does not count as in flight, as upstream's long-running requests. */
const isLong = (request: ApiRequest, info: RequestInfo): boolean =>
  info.verb === "watch" ||
  info.subresource === "proxy" ||
  booleanOption(request.query, "follow") ||
  request.headers["upgrade"] !== undefined;

/** Counts a request as in flight; watches and connections do not count. Returns the function that ends this. Throws ApiError 429. */
export function admit(server: Server, request: ApiRequest, info: RequestInfo): () => void {
  if (isLong(request, info)) return () => {};
  if (server.load.inFlight >= server.limits.inFlight) {
    throw tooManyRequests("the server has received too many requests and has asked us to try again later", 1);
  }
  server.load.inFlight++;
  return () => {
    server.load.inFlight--;
  };
}
