import type { NodeRequest } from "#api/meta";
import type { Credentials } from "#auth";
import { booleanOption } from "./query.ts";

/** A request as the server sees it, whatever host took it. */
export interface ApiRequest {
  method: string;
  /** Decoded by the host no further than splitting off the query. */
  path: string;
  query: URLSearchParams;
  /** The query as it was sent, without its question mark. Absent: the host has only `query`. */
  rawQuery?: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string | undefined>>;
  /** The values of headers that mean several things when sent several times, each as it was sent; by the same names. */
  repeated?: Readonly<Record<string, readonly string[]>>;
  /** Reads the whole body; the host rejects with ApiError 413 beyond its limit. */
  body(): Promise<Uint8Array>;
  /** The body as it arrives, without a limit of its size; read instead of `body`, once. Absent: there is none. */
  chunks?: (() => AsyncIterable<Uint8Array>) | undefined;
  /** Aborts when the client is gone or the host stops. */
  signal: AbortSignal;
  /** The peer, as the transport has identified it. */
  peer?: {
    certificate?: { commonName: string; organizations: string[] };
    /** The principal that signed the request, where the host's gateway has verified the signature. */
    principal?: Credentials["principal"];
    /** From where it came, as an IP address. */
    address?: string;
  };
}

/** An answer. The host pulls a body of many chunks, and ends it with `return()` when the client disconnects. */
export interface ApiResponse {
  status: number;
  headers: Record<string, string | string[]>;
  body: Uint8Array | AsyncIterable<Uint8Array>;
  /** The name of the created object, which the path does not have. */
  createdName?: string;
  /** How the body is sent over a WebSocket: events, each a line, or plain bytes. */
  messages?: "events" | "bytes";
  /**
   * With status 101: the host joins the client's connection to the node's agent, which serves this request; with
   * `proxied`, to the server that the agent dials.
   */
  tunnel?: { node: string; request: NodeRequest; proxied?: ProxiedRequest };
  /** With status 101: the connection becomes the link of this node's agent. */
  link?: string;
}

/** An HTTP request for a server in a pod. */
export interface ProxiedRequest {
  scheme: "http" | "https";
  /** The server's host and port, without the scheme's default port. */
  host: string;
  /** The path, escaped, with its query. */
  path: string;
  /** The part of the client's path before the server's: links in responses get it. */
  prefix: string;
}

/** What a path means. */
export interface RequestInfo {
  resource: boolean;
  /** The API verb: get, list, watch, create, update, patch, delete, deletecollection; the method for other paths. */
  verb: string;
  path: string;
  group: string;
  version: string;
  namespace: string;
  plural: string;
  subresource: string;
  /** The path after the subresource, with its slash, for the target of a proxy. */
  rest: string;
  name: string;
}

const verbs: Record<string, string> = { POST: "create", PUT: "update", PATCH: "patch" };

/**
 * Parses a path as upstream's RequestInfo does: empty segments are dropped, except an empty namespace. `isPart` returns
 * whether a word after a namespace's name is a subresource of namespaces rather than a resource in the namespace.
 */
export function requestInfo(request: ApiRequest, isPart: (version: string, word: string) => boolean): RequestInfo {
  const parts = partsOf(request.path);
  const info: RequestInfo = {
    resource: false,
    verb: request.method.toLowerCase(),
    path: request.path,
    group: "",
    version: "",
    namespace: "",
    plural: "",
    subresource: "",
    rest: "",
    name: "",
  };
  const legacy = parts[0] === "api";
  let rest = legacy ? parts.slice(2) : parts.slice(3);
  if ((!legacy && parts[0] !== "apis") || rest.length === 0) return info;
  info.resource = true;
  info.group = legacy ? "" : parts[1]!;
  info.version = (legacy ? parts[1] : parts[2])!;
  const watches = rest[0] === "watch" && rest.length > 1;
  if (watches) rest = rest.slice(1);
  let place = rest;
  if (rest[0] === "namespaces" && rest.length > 1) {
    info.namespace = rest[1]!;
    if (rest.length > 2 && !isPart(info.version, rest[2]!)) place = rest.slice(2);
  }
  info.plural = place[0]!;
  info.name = place[1] ?? "";
  info.subresource = place[2] ?? "";
  for (const part of place.slice(3)) info.rest += `/${part}`;
  if (info.subresource === "proxy" && request.path.endsWith("/")) info.rest += "/";
  info.verb = watches && request.method === "GET" ? "watch" : verbOf(request, info);
  return info;
}

function verbOf(request: ApiRequest, info: RequestInfo): string {
  if (request.method === "GET" || request.method === "HEAD") {
    if (info.name !== "") return "get";
    return booleanOption(request.query, "watch") ? "watch" : "list";
  }
  if (request.method === "DELETE") return info.name === "" ? "deletecollection" : "delete";
  return verbs[request.method] ?? "";
}

/** The values of a repeatable header. Values are not split at commas: the name of a group may contain one. */
export function valuesOf({ headers, repeated }: ApiRequest, name: string): readonly string[] {
  const value = headers[name];
  return repeated?.[name] ?? (value === undefined ? [] : [value]);
}

/** A path with a percent sign that begins no escape; upstream's router never sees one. */
export const isMalformed = (path: string): boolean => /%(?![\dA-Fa-f]{2})/.test(path);

/** The parts of a path, decoded, without slashes at its ends. */
function partsOf(path: string): string[] {
  if (path.startsWith("//")) return [];
  let end = path.length;
  while (end > 0 && path[end - 1] === "/") end--;
  const parts = path.slice(path.startsWith("/") ? 1 : 0, end).split("/");
  return path.includes("%") ? parts.map(decoded) : parts;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
