import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { type CommandResult, isRuntimeError } from "#agent/runtime";
import type { Container, LifecycleHandler, Probe } from "#api";
import { messageOf } from "#base";
import { grpcCheck } from "./grpc.ts";
import { type CheckResult, failure, success } from "./result.ts";

/** The handlers that probes and lifecycle hooks share. */
export type Handler = Pick<Probe, "exec" | "httpGet" | "tcpSocket" | "grpc"> & Pick<LifecycleHandler, "sleep">;

export interface CheckTarget {
  container: Pick<Container, "ports">;
  /** The pod's address, or the host's with host networking. */
  ip: string;
  /** Runs a command in the container; throws `timeout`. */
  run(command: string[], timeoutSeconds: number): Promise<CommandResult>;
  /** False when pods cannot be reached over the network: checks over the network then succeed. */
  reachable: boolean;
}

/** The most bytes of a command's output and of an HTTP body that are read, as upstream's. */
const maxOutputBytes = 10 * 1024;

/** Runs one check by the rules of upstream's probers. Never rejects: `output` says why a check could not be run. */
export async function check(handler: Handler, timeoutSeconds: number, target: CheckTarget): Promise<CheckResult> {
  try {
    if (handler.exec) return await execCheck(handler.exec.command ?? [], timeoutSeconds, target);
    if (handler.httpGet) return await httpCheck(handler.httpGet, timeoutSeconds, target);
    if (handler.tcpSocket) return await tcpCheck(handler.tcpSocket, timeoutSeconds, target);
    if (handler.grpc) return target.reachable ? await grpcCheck(handler.grpc, target.ip, timeoutSeconds) : success("");
    return { outcome: "unknown", output: "missing probe handler" };
  } catch (error) {
    return { outcome: "unknown", output: messageOf(error) };
  }
}

async function execCheck(command: string[], timeoutSeconds: number, target: CheckTarget): Promise<CheckResult> {
  try {
    const { exitCode, stdout, stderr } = await target.run(command, timeoutSeconds);
    const output = Buffer.concat([stdout, stderr]).subarray(0, maxOutputBytes).toString();
    return exitCode === 0 ? success(output) : failure(output);
  } catch (error) {
    if (!isRuntimeError(error, "timeout")) throw error;
    return failure(`command timed out: "${command.join(" ")}" timed out after ${timeoutSeconds}s`);
  }
}

/** A port number, or the number of the container's port with that name. Throws an Error in upstream's words. */
function portOf(port: number | string, { container }: CheckTarget): number {
  const named = (container.ports ?? []).find(({ name }) => name !== undefined && name === port);
  const value = named ? named.containerPort : Number(port);
  if (Number.isInteger(value) && value > 0 && value < 65536) return value;
  throw new Error(`couldn't find port: "${port}"`);
}

type HttpGet = NonNullable<Probe["httpGet"]>;

/** How many redirects within the host are followed, as upstream's client does. */
const maxRedirects = 10;

async function httpCheck(get: HttpGet, timeoutSeconds: number, target: CheckTarget): Promise<CheckResult> {
  const port = portOf(get.port, target);
  if (!target.reachable) return success("");
  const host = get.host || target.ip;
  const path = get.path?.startsWith("/") ? get.path : `/${get.path ?? ""}`;
  const shownHost = host.includes(":") ? `[${host}]` : host;
  const first = `${get.scheme === "HTTPS" ? "https" : "http"}://${shownHost}:${port}${path}`;
  const headers = headersOf(get);
  const signal = AbortSignal.timeout(timeoutSeconds * 1000);
  let url = first;
  for (let redirects = 0; ; redirects++) {
    const answer = await fetchOnce(url, headers, signal);
    if ("error" in answer) {
      const timedOut = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
      const why = answer.inBody
        ? "context deadline exceeded (Client.Timeout or context cancellation while reading body)"
        : dialError(answer.error, { host: shownHost, port, timedOut });
      return failure(`Get "${url}": ${why}`);
    }
    const { status, body, location } = answer;
    if (status < 200 || status >= 400) return failure(`HTTP probe failed with statuscode: ${status}`);
    if (status < 300 || location === undefined) return status < 300 ? success(body) : redirected(body);
    if (!URL.canParse(location, url)) {
      return failure(`Get "${url}": failed to parse Location header ${JSON.stringify(location)}`);
    }
    const next = new URL(location, url);
    if (next.hostname !== new URL(first).hostname) return redirected(body);
    if (redirects >= maxRedirects) return failure(`Get "${next}": stopped after ${maxRedirects} redirects`);
    if (next.protocol !== "http:" && next.protocol !== "https:") {
      return failure(`Get "${next}": unsupported protocol scheme "${next.protocol.slice(0, -1)}"`);
    }
    url = next.toString();
  }
}

/** A redirect that is not followed counts as a success, with a warning. */
const redirected = (body: string): CheckResult => ({
  outcome: "warning",
  output: `Probe terminated redirects, Response body: ${body}`,
});

function headersOf({ httpHeaders = [] }: HttpGet): Record<string, string> {
  const headers: Record<string, string> = { "User-Agent": "kube-probe/1.36", Accept: "*/*" };
  for (const { name, value } of httpHeaders) {
    const key = Object.keys(headers).find((known) => known.toLowerCase() === name.toLowerCase()) ?? name;
    // An empty value removes a default header.
    if (value === "") delete headers[key];
    else headers[key] = value;
  }
  return headers;
}

type Fetched = { status: number; body: string; location: string | undefined } | { error: Error; inBody: boolean };

/**
 * One request. Reads at most `maxOutputBytes` of the body, as DoHTTPProbe does. Rejects when it cannot be sent at all.
 */
const fetchOnce = (url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Fetched> =>
  new Promise((resolve) => {
    const options = { headers, rejectUnauthorized: false, agent: false, signal };
    const outgoing = (url.startsWith("https:") ? httpsRequest : httpRequest)(url, options, (answer) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      const done = (): void => {
        const body = Buffer.concat(parts).subarray(0, maxOutputBytes).toString();
        resolve({ status: answer.statusCode ?? 0, body, location: answer.headers.location });
      };
      answer.on("data", (part: Buffer) => {
        parts.push(part);
        bytes += part.length;
        if (bytes < maxOutputBytes) return;
        done();
        answer.destroy();
      });
      answer.on("error", (error) => resolve({ error, inBody: true }));
      answer.on("end", done);
    });
    outgoing.on("error", (error) => resolve({ error, inBody: false }));
    outgoing.end();
  });

/** A connection's failure as Go's error text. */
function dialError(error: Error, { host, port, timedOut }: { host: string; port: number; timedOut: string }): string {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const texts: Record<string, string> = {
    ECONNREFUSED: "connect: connection refused",
    EHOSTUNREACH: "connect: no route to host",
    ENETUNREACH: "connect: network is unreachable",
    ETIMEDOUT: "i/o timeout",
  };
  if (error.name === "AbortError" || error.name === "TimeoutError" || code === "ABORT_ERR") return timedOut;
  if (code === "ECONNRESET") return "EOF";
  return texts[code] ? `dial tcp ${host}:${port}: ${texts[code]}` : error.message;
}

type TcpSocket = NonNullable<Probe["tcpSocket"]>;

async function tcpCheck(socket: TcpSocket, timeoutSeconds: number, target: CheckTarget): Promise<CheckResult> {
  const port = portOf(socket.port, target);
  if (!target.reachable) return success("");
  const host = socket.host || target.ip;
  return new Promise((resolve) => {
    const connection = connect({ host, port, timeout: timeoutSeconds * 1000 });
    const end = (result: CheckResult): void => {
      connection.destroy();
      resolve(result);
    };
    connection.on("connect", () => end(success("")));
    connection.on("timeout", () => end(failure(`dial tcp ${host}:${port}: i/o timeout`)));
    connection.on("error", (error) => end(failure(dialError(error, { host, port, timedOut: "i/o timeout" }))));
  });
}
