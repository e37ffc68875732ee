import type { NodePath, NodeRequest, ProxyRequest, ProxySubresource, ProxyTarget } from "#api/meta";
import { badRequest, serviceUnavailable } from "#base";
import { admissionRequest, kindOf, mutate, validate } from "#resources";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { methodNotAllowed, resourceNotFound } from "../router-errors.ts";
import type { NodeLinks, RequestScope } from "../server.ts";

/** Paths of the kubelet: only information about the node. Containers are reached through pods, with rights on those. */
const kubeletPaths: Readonly<Record<string, NodePath>> = {
  "/configz": "configz",
  "/healthz": "healthz",
  "/metrics": "metrics",
  "/metrics/cadvisor": "metricsCadvisor",
  "/metrics/resource": "metricsResource",
  "/pods": "pods",
  "/runningpods": "runningPods",
  "/stats/summary": "statsSummary",
};

/**
 * A request for a server in a pod or for a node's kubelet, with every method, as upstream's UpgradeAwareHandler: bodies
 * stream both ways, and the host joins connections that are upgraded.
 */
export async function proxy(call: RequestScope, request: ApiRequest, part: ProxySubresource): Promise<ApiResponse> {
  const { server, resources, user, namespace, name } = call;
  const parts = partsOf(name);
  if (!parts) throw badRequest(`invalid ${kindOf(call).singular} request ${JSON.stringify(name)}`);
  const admission = admissionRequest(call, "CONNECT", {});
  await mutate(call, admission);
  await validate(call, admission);
  const client = resources.client(user, server.access);
  const target = await part.target(
    { namespace, ...parts },
    {
      get: (kind, place) => client.get(kind, place),
      list: (kind, which) => client.list(kind, which),
      random: () => resources.random.fraction(),
    },
  );
  const path = cleaned(call.rest);
  const isUpgrade = /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(request.headers["connection"] ?? "");
  // Relative links of a page need the slash.
  if (path === "" && isRead(request) && !isUpgrade) return redirect(request);
  return target.dial
    ? toPod(call, request, { ...target, dial: target.dial, ...parts, path, isUpgrade })
    : toKubelet(call, request, { ...target, path });
}

function linksOf({ links }: RequestScope["server"]): NodeLinks {
  if (!links) throw serviceUnavailable("this server has no connection to the nodes");
  return links;
}

const isRead = ({ method }: ApiRequest): boolean => method === "GET" || method === "HEAD";

function redirect(request: ApiRequest): ApiResponse {
  const location = `${escapedPath(decoded(request.path))}/${queryOf(request)}`;
  return { status: 301, headers: { location }, body: new Uint8Array() };
}

async function toKubelet(
  { server }: RequestScope,
  request: ApiRequest,
  { node, path }: ProxyTarget & { path: string },
): Promise<ApiResponse> {
  const asked = kubeletRequest(path);
  if (!asked) throw resourceNotFound();
  if (!isRead(request)) throw methodNotAllowed();
  return linksOf(server).request(node, asked, request.signal);
}

function kubeletRequest(path: string): NodeRequest | undefined {
  const key = path.replace(/\/$/, "");
  if (Object.hasOwn(kubeletPaths, key)) return { type: kubeletPaths[key]! };
  return /^\/logs(?:\/|$)/.test(path) ? { type: "nodeLogs", path: path.slice("/logs/".length) } : undefined;
}

type PodTarget = Required<ProxyTarget> & Pick<ProxyRequest, "scheme"> & { path: string; isUpgrade: boolean };

async function toPod({ server }: RequestScope, request: ApiRequest, target: PodTarget): Promise<ApiResponse> {
  const { node, dial, scheme, path, isUpgrade } = target;
  const own = decoded(request.path);
  const proxied = {
    scheme,
    host: hostOf(dial.address, dial.port),
    path: `${escapedPath(path) || "/"}${queryOf(request)}`,
    prefix: own.endsWith(path) ? own.slice(0, own.length - path.length) : own,
  };
  if (isUpgrade && request.headers["upgrade"] !== undefined) {
    return { status: 101, headers: {}, body: new Uint8Array(), tunnel: { node, request: dial, proxied } };
  }
  return linksOf(server).proxy({ node, request: dial, proxied }, request);
}

const hostOf = (address: string, port: number): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

const queryOf = ({ rawQuery, query }: ApiRequest): string => {
  const text = rawQuery ?? query.toString();
  return text === "" ? "" : `?${text}`;
};

/** `[scheme:]name[:port]`; undefined for any other form (upstream's SplitSchemeNamePort). */
function partsOf(id: string): Pick<ProxyRequest, "scheme" | "name" | "port"> | undefined {
  const parts = id.split(":");
  if (parts.length > 3) return undefined;
  const [scheme, name, port] = parts.length === 3 ? parts : ["", parts[0]!, parts[1] ?? ""];
  if (name === "" || !["", "http", "https"].includes(scheme!)) return undefined;
  return { scheme: scheme === "https" ? "https" : "http", name: name!, port: port! };
}

/** A path without `.`, `..` and empty segments; a slash at its end stays (upstream's JoinPreservingTrailingSlash). */
function cleaned(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  if (path === "") return "";
  const joined = `/${segments.join("/")}`;
  return path.endsWith("/") && joined !== "/" ? `${joined}/` : joined;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** A path as Go escapes it (net/url, encodePath). */
const escapedPath = (path: string): string =>
  encodeURIComponent(path.toWellFormed())
    .replace(/%(24|26|2B|2C|2F|3A|3B|3D|40)/g, (code) => decodeURIComponent(code))
    .replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
