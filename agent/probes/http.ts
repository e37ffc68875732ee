import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Container, Probe } from "#api";

export type HttpGetAction = NonNullable<Probe["httpGet"]>;

export interface HttpTarget {
  container: Pick<Container, "ports">;
  /** The address where the action names no host: the pod's, or the host's with host networking. */
  ip: string;
}

export interface HttpRequest {
  url: string;
  /** `host:port`, for messages. */
  shown: string;
  headers: Record<string, string | string[]>;
}

/** A response, or why there was none: `failure` is the text of net/http's error without its `Get "URL": `. */
export type HttpResult =
  | { url: string; status: number; body: string; isRedirect: boolean }
  | {
      url: string;
      failure: string;
      /** The server answered a request for HTTPS in plain HTTP. */
      isPlain: boolean;
    };

/** The most bytes of an HTTP body that are read, as upstream's. */
export const maxBodyBytes = 10 * 1024;

/** How many redirects within the host are followed, as upstream's client does. */
const maxRedirects = 10;

/** A port number, or the number of the container's port with that name. Throws an Error in upstream's words. */
export function portOf(port: number | string, { container }: Pick<HttpTarget, "container">): number {
  const named = (container.ports ?? []).find(({ name }) => name !== undefined && name === port);
  const value = named ? named.containerPort : Number(port);
  if (Number.isInteger(value) && value > 0 && value < 65536) return value;
  throw new Error(`couldn't find port: "${port}"`);
}

/**
 * The request of a probe or of a lifecycle hook (upstream's NewRequestForHTTPGetAction). Throws an Error for a port that
 * the container does not have.
 */
export function requestOf(get: HttpGetAction, target: HttpTarget, purpose: "probe" | "lifecycle"): HttpRequest {
  const host = get.host || target.ip;
  const path = get.path?.startsWith("/") ? get.path : `/${get.path ?? ""}`;
  const shown = `${host.includes(":") ? `[${host}]` : host}:${portOf(get.port, target)}`;
  const scheme = get.scheme === "HTTPS" ? "https" : "http";
  return { url: `${scheme}://${shown}${path}`, shown, headers: headersOf(get, purpose) };
}

/** Repeated names are sent repeatedly; an empty value of a default header removes it. */
function headersOf({ httpHeaders = [] }: HttpGetAction, purpose: string): HttpRequest["headers"] {
  const headers = new Map<string, { name: string; values: string[] }>([
    ["user-agent", { name: "User-Agent", values: [] }],
    ["accept", { name: "Accept", values: [] }],
  ]);
  for (const { name, value } of httpHeaders) {
    const known = headers.get(name.toLowerCase());
    if (known) known.values.push(value);
    else headers.set(name.toLowerCase(), { name, values: [value] });
  }
  const defaults: Record<string, string> = { "user-agent": `kube-${purpose}/1.36`, accept: "*/*" };
  const sent: HttpRequest["headers"] = {};
  for (const [key, { name, values }] of headers) {
    const fallback = defaults[key];
    if (values.length === 0 && fallback !== undefined) sent[name] = fallback;
    else if (fallback === undefined || values[0] !== "") sent[name] = values.length === 1 ? values[0]! : values;
  }
  // Two hosts are malformed; upstream sends the first.
  const host = headers.get("host");
  if (host) sent[host.name] = host.values[0]!;
  return sent;
}

/**
 * Sends the request without checking certificates, and follows redirects within its host (upstream's RedirectChecker).
 * Never rejects but for headers that cannot be sent at all.
 */
export async function httpGet({ url: first, shown, headers }: HttpRequest, signal?: AbortSignal): Promise<HttpResult> {
  let url = first;
  for (let redirects = 0; ; redirects++) {
    const answer = await fetchOnce(url, headers, signal);
    if ("error" in answer) return { url, ...whyOf(answer, shown) };
    const { status, body, location } = answer;
    const isRedirect = status >= 300 && status < 400;
    if (!isRedirect || location === undefined) return { url, status, body, isRedirect };
    const failed = (at: string, failure: string): HttpResult => ({ url: at, failure, isPlain: false });
    if (!URL.canParse(location, url)) {
      return failed(url, `failed to parse Location header ${JSON.stringify(location)}`);
    }
    const next = new URL(location, url);
    if (next.hostname !== new URL(first).hostname) return { url, status, body, isRedirect };
    if (redirects >= maxRedirects) return failed(next.toString(), `stopped after ${maxRedirects} redirects`);
    if (next.protocol !== "http:" && next.protocol !== "https:") {
      return failed(next.toString(), `unsupported protocol scheme "${next.protocol.slice(0, -1)}"`);
    }
    url = next.toString();
  }
}

type Fetched = { status: number; body: string; location: string | undefined } | { error: Error; inBody: boolean };

/**
 * One request. Reads at most `maxBodyBytes` of the body, as DoHTTPProbe does. Rejects when it cannot be sent at all.
 */
const fetchOnce = (url: string, headers: HttpRequest["headers"], signal: AbortSignal | undefined): Promise<Fetched> =>
  new Promise((resolve) => {
    // As net/http: lines of a response may end without a carriage return, which many scripts of CGI leave out.
    const lenient = { insecureHTTPParser: true, rejectUnauthorized: false };
    const options = { headers, ...lenient, agent: false, ...(signal ? { signal } : {}) };
    const outgoing = (url.startsWith("https:") ? httpsRequest : httpRequest)(url, options, (answer) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      const done = (): void => {
        const body = Buffer.concat(parts).subarray(0, maxBodyBytes).toString();
        resolve({ status: answer.statusCode ?? 0, body, location: answer.headers.location });
      };
      answer.on("data", (part: Buffer) => {
        parts.push(part);
        bytes += part.length;
        if (bytes < maxBodyBytes) return;
        done();
        answer.destroy();
      });
      answer.on("error", (error) => resolve({ error, inBody: true }));
      answer.on("end", done);
    });
    outgoing.on("error", (error) => resolve({ error, inBody: false }));
    outgoing.end();
  });

const timeouts = {
  headers: "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
  body: "context deadline exceeded (Client.Timeout or context cancellation while reading body)",
};

function whyOf({ error, inBody }: { error: Error; inBody: boolean }, shown: string) {
  // Only OpenSSL's text names the cause.
  const isPlain = (error as NodeJS.ErrnoException).code === "EPROTO" && error.message.includes("wrong version number");
  const failure = inBody
    ? timeouts.body
    : isPlain
      ? "http: server gave HTTP response to HTTPS client"
      : dialError(error, { shown, timedOut: timeouts.headers });
  return { failure, isPlain };
}

/** A connection's failure as Go's error text. */
export function dialError(error: Error, { shown, timedOut }: { shown: string; timedOut: string }): string {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const texts: Record<string, string> = {
    ECONNREFUSED: "connect: connection refused",
    EHOSTUNREACH: "connect: no route to host",
    ENETUNREACH: "connect: network is unreachable",
    ETIMEDOUT: "i/o timeout",
  };
  if (error.name === "AbortError" || error.name === "TimeoutError" || code === "ABORT_ERR") return timedOut;
  if (code === "ECONNRESET") return "EOF";
  return texts[code] ? `dial tcp ${shown}: ${texts[code]}` : error.message;
}
