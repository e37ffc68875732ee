import type { ApiRequest } from "#apiserver";

type Headers = Record<string, string | string[]>;

/** Headers of one connection (RFC 9110, 7.6.1), which proxies do not pass on. */
const ofConnections = [
  "connection",
  "proxy-connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/** Those, and the headers that `connection` names. */
function hopHeaders(connection: string): Set<string> {
  const named = connection.split(",").map((name) => name.trim().toLowerCase());
  return new Set([...ofConnections, ...named]);
}

/** Credentials of the API server, which upstream's filters remove, and what this side has answered already. */
const isOurs = (name: string): boolean =>
  name === "authorization" || name === "expect" || name.startsWith("impersonate-") || name.startsWith(":");

export interface ForwardedRequest extends Pick<ApiRequest, "headers"> {
  peer: ApiRequest["peer"] | undefined;
  /** The path of the client's request, with its prefix, escaped. Absent: it is not passed on. */
  uri?: string;
}

/**
 * The headers of a request for its target: those of the client, with its Host, and without the ones for the API server.
 * X-Forwarded-For gets the client's address, and X-Forwarded-Uri its path, as upstream's ReverseProxy and Transport.
 */
export function requestHeaders({ headers, peer, uri }: ForwardedRequest): Headers {
  const hops = hopHeaders(headers["connection"] ?? "");
  const passed: Headers = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !hops.has(name) && !isOurs(name)) passed[name] = value;
  }
  const others = headers["x-forwarded-for"];
  if (peer?.address) passed["x-forwarded-for"] = [others ?? [], peer.address].flat().join(", ");
  if (uri !== undefined) passed["x-forwarded-uri"] = uri;
  return passed;
}

/** Rights of origins at the target; they are not rights at the API server (upstream's removeCORSHeaders). */
const crossOrigin = ["credentials", "headers", "methods", "origin"].map((name) => `access-control-allow-${name}`);

/** The headers of a response, from Node's list of names and values. */
export function responseHeaders(rawHeaders: readonly string[]): Headers {
  const all: Headers = {};
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    const known = all[name];
    all[name] = known === undefined ? rawHeaders[at + 1]! : [known, rawHeaders[at + 1]!].flat();
  }
  const hops = hopHeaders([all["connection"] ?? ""].flat().join(","));
  for (const name of [...hops, ...crossOrigin]) delete all[name];
  return all;
}
