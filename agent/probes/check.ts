import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { type CommandResult, isRuntimeError } from "#agent/runtime";
import type { Container, LifecycleHandler, Probe } from "#api";

/** What a probe and a lifecycle hook have in common. */
export type Handler = Pick<Probe, "exec" | "httpGet" | "tcpSocket" | "grpc"> & Pick<LifecycleHandler, "sleep">;

export interface CheckTarget {
  container: Pick<Container, "ports">;
  /** The pod's address, or the host's with host networking. */
  ip: string;
  /** Runs a command in the container; throws `timeout`. */
  run(command: string[], timeoutSeconds: number): Promise<CommandResult>;
  /** False where pods have no network that could be reached: then HTTP and TCP checks find everything well. */
  reachable: boolean;
}

export interface CheckResult {
  ok: boolean;
  /** What events say. */
  output: string;
}

/** Upstream shows at most this much of an answer. */
const maxOutput = 10 * 1024;

/**
 * One check. Anything that is not a clear success is a failure with its reason in `output`; what this agent cannot
 * do at all is one too, by name.
 */
export async function check(handler: Handler, timeoutSeconds: number, target: CheckTarget): Promise<CheckResult> {
  try {
    if (handler.exec) return await execCheck(handler.exec.command ?? [], timeoutSeconds, target);
    if (handler.httpGet) return await httpCheck(handler.httpGet, timeoutSeconds, target);
    if (handler.tcpSocket) return await tcpCheck(handler.tcpSocket, timeoutSeconds, target);
    if (handler.grpc) return { ok: false, output: "gRPC probes are not supported by this node" };
    return { ok: false, output: "missing probe handler" };
  } catch (error) {
    return { ok: false, output: error instanceof Error ? error.message : String(error) };
  }
}

async function execCheck(command: string[], timeoutSeconds: number, target: CheckTarget): Promise<CheckResult> {
  try {
    const { exitCode, stdout, stderr } = await target.run(command, timeoutSeconds);
    return { ok: exitCode === 0, output: Buffer.concat([stdout, stderr]).subarray(0, maxOutput).toString() };
  } catch (error) {
    if (!isRuntimeError(error, "timeout")) throw error;
    return { ok: false, output: `command timed out: "${command.join(" ")}" timed out after ${timeoutSeconds}s` };
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

async function httpCheck(get: HttpGet, timeoutSeconds: number, target: CheckTarget): Promise<CheckResult> {
  const port = portOf(get.port, target);
  if (!target.reachable) return { ok: true, output: "" };
  const secure = get.scheme === "HTTPS";
  const host = get.host || target.ip;
  const path = get.path?.startsWith("/") ? get.path : `/${get.path ?? ""}`;
  const shownHost = host.includes(":") ? `[${host}]` : host;
  const url = `${secure ? "https" : "http"}://${shownHost}:${port}${path}`;
  const headers: Record<string, string | string[]> = { "User-Agent": "kube-probe/1.36", Accept: "*/*" };
  for (const { name, value } of get.httpHeaders ?? []) {
    const key = Object.keys(headers).find((known) => known.toLowerCase() === name.toLowerCase()) ?? name;
    // An empty value takes a header of ours away.
    if (value === "") delete headers[key];
    else headers[key] = value;
  }
  return new Promise((resolve) => {
    const fail = (why: string): void => resolve({ ok: false, output: `Get "${url}": ${why}` });
    const options = {
      headers,
      rejectUnauthorized: false,
      agent: false,
      signal: AbortSignal.timeout(timeoutSeconds * 1000),
    };
    const outgoing = (secure ? httpsRequest : httpRequest)(url, options, (answer) => {
      const status = answer.statusCode ?? 0;
      let body = "";
      answer.on("data", (part: Buffer) => {
        if (body.length < maxOutput) body += part.toString();
      });
      answer.on("error", () =>
        fail("context deadline exceeded (Client.Timeout or context cancellation while reading body)"),
      );
      answer.on("end", () => {
        const ok = status >= 200 && status < 400;
        resolve({ ok, output: ok ? body : `HTTP probe failed with statuscode: ${status}` });
      });
    });
    outgoing.on("error", (error) =>
      fail(
        dialWords(error, shownHost, port, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
      ),
    );
    outgoing.end();
  });
}

/** A connection's failure as Go says it. */
function dialWords(error: Error, host: string, port: number, timedOut: string): string {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const words: Record<string, string> = {
    ECONNREFUSED: "connect: connection refused",
    EHOSTUNREACH: "connect: no route to host",
    ENETUNREACH: "connect: network is unreachable",
    ETIMEDOUT: "i/o timeout",
  };
  if (error.name === "AbortError" || error.name === "TimeoutError" || code === "ABORT_ERR") return timedOut;
  if (code === "ECONNRESET") return "EOF";
  return words[code] ? `dial tcp ${host}:${port}: ${words[code]}` : error.message;
}

type TcpSocket = NonNullable<Probe["tcpSocket"]>;

async function tcpCheck(socket: TcpSocket, timeoutSeconds: number, target: CheckTarget): Promise<CheckResult> {
  const port = portOf(socket.port, target);
  if (!target.reachable) return { ok: true, output: "" };
  const host = socket.host || target.ip;
  return new Promise((resolve) => {
    const connection = connect({ host, port, timeout: timeoutSeconds * 1000 });
    const end = (result: CheckResult): void => {
      connection.destroy();
      resolve(result);
    };
    connection.on("connect", () => end({ ok: true, output: "" }));
    connection.on("timeout", () => end({ ok: false, output: `dial tcp ${host}:${port}: i/o timeout` }));
    connection.on("error", (error) => end({ ok: false, output: dialWords(error, host, port, "i/o timeout") }));
  });
}
