import type { User } from "#auth";
import { ApiError, badRequest, forbidden, tooManyRequests, unauthorized } from "#base";
import { type ApiRequest, isTrue, type RequestInfo } from "./request.ts";
import type { Server } from "./server.ts";

const anonymous: User = { name: "system:anonymous", groups: ["system:unauthenticated"] };

/** What anybody may ask: the checks of load balancers, the version, and how to trust the issuer of tokens. */
const open = /^\/(?:healthz|livez|readyz|version|openid\/v1\/jwks|\.well-known\/openid-configuration)(?:\/|$)/;

/** Finds out who asks. Throws ApiError 401 when nobody vouches for the sender and the path is not open to all. */
export async function authenticate(server: Server, request: ApiRequest): Promise<User> {
  const credentials = {
    headers: request.headers,
    ...(request.peer?.certificate ? { certificate: request.peer.certificate } : {}),
  };
  for (const authenticator of server.authenticators) {
    const user = await authenticator(credentials);
    if (user) return user;
  }
  if (open.test(request.path) && request.headers["authorization"] === undefined) return anonymous;
  throw unauthorized();
}

const header = { user: "impersonate-user", uid: "impersonate-uid", group: "impersonate-group" };
const extraPrefix = "impersonate-extra-";

/** Lets a user who may do so ask as somebody else (`--as`). Throws ApiError 403 for those who may not. */
export async function impersonate(server: Server, request: ApiRequest, user: User): Promise<User> {
  const name = request.headers[header.user];
  const groups = (request.headers[header.group] ?? "")
    .split(",")
    .map((group) => group.trim())
    .filter((group) => group !== "");
  const uid = request.headers[header.uid];
  const extra = extraOf(request);
  if (name === undefined) {
    if (groups.length > 0 || uid !== undefined || Object.keys(extra).length > 0) {
      throw badRequest("requested impersonation without impersonating a user");
    }
    return user;
  }
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
  const asked = account
    ? [{ plural: "serviceaccounts", namespace: account[1]!, name: account[2]! }]
    : [{ plural: "users", namespace: "", name }];
  asked.push(...groups.map((group) => ({ plural: "groups", namespace: "", name: group })));
  for (const what of asked) {
    const resource = { group: "", version: "v1", subresource: "", ...what };
    const decision = await server.authorize({ user, verb: "impersonate", resource, path: "" });
    if (!decision?.allowed) {
      const why = `User "${user.name}" cannot impersonate resource "${what.plural}" in API group "" at the cluster scope`;
      throw forbidden({ group: "", resource: what.plural }, what.name, why);
    }
  }
  const standing = name === anonymous.name ? "system:unauthenticated" : "system:authenticated";
  const implied = account ? ["system:serviceaccounts", `system:serviceaccounts:${account[1]}`] : [];
  return {
    name,
    ...(uid === undefined ? {} : { uid }),
    extra,
    groups: [...new Set([...groups, ...implied, standing])],
  };
}

function extraOf(request: ApiRequest): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (name.startsWith(extraPrefix) && value !== undefined)
      extra[decodeURIComponent(name.slice(extraPrefix.length))] = [value];
  }
  return extra;
}

/** Throws ApiError 403 in upstream's words unless somebody allows the request. */
export async function authorize(server: Server, request: ApiRequest, info: RequestInfo, user: User): Promise<void> {
  const { group, version, plural, subresource, namespace, name } = info;
  const resource = { group, version, plural, subresource, namespace, name };
  const decision = await server.authorize({
    user,
    verb: info.verb,
    path: info.path,
    ...(info.resource ? { resource } : {}),
    fieldSelector: request.query.get("fieldSelector") ?? undefined,
  });
  if (decision?.allowed) return;
  const reason = decision?.reason ? `: ${decision.reason}` : "";
  if (!info.resource) {
    const message = `forbidden: User "${user.name}" cannot ${info.verb} path "${info.path}"${reason}`;
    throw new ApiError(403, "Forbidden", message, {});
  }
  const what = subresource === "" ? plural : `${plural}/${subresource}`;
  const scope = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  const why = `User "${user.name}" cannot ${info.verb} resource "${what}" in API group "${group}" ${scope}${reason}`;
  throw forbidden({ group, resource: plural }, name, why);
}

/** Takes a place among the requests at work; watches and connections do not count. Returns how to give it back. */
export function admit(server: Server, request: ApiRequest, info: RequestInfo): () => void {
  const long = info.verb === "watch" || isTrue(request.query.get("follow")) || request.headers["upgrade"] !== undefined;
  if (long) return () => {};
  if (server.load.inFlight >= server.limits.inFlight) {
    throw tooManyRequests("the server has received too many requests and has asked us to try again later", 1);
  }
  server.load.inFlight++;
  return () => {
    server.load.inFlight--;
  };
}
