import { connect } from "node:net";
import { type CommandResult, isRuntimeError } from "#agent/runtime";
import type { Container, LifecycleHandler, Probe } from "#api";
import { messageOf } from "#base";
import { grpcCheck } from "./grpc.ts";
import { dialError, type HttpGetAction, httpGet, maxBodyBytes, portOf, requestOf } from "./http.ts";
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
    const output = Buffer.concat([stdout, stderr]).subarray(0, maxBodyBytes).toString();
    return exitCode === 0 ? success(output) : failure(output);
  } catch (error) {
    if (!isRuntimeError(error, "timeout")) throw error;
    return failure(`command timed out: "${command.join(" ")}" timed out after ${timeoutSeconds}s`);
  }
}

async function httpCheck(get: HttpGetAction, timeoutSeconds: number, target: CheckTarget): Promise<CheckResult> {
  const request = requestOf(get, target, "probe");
  if (!target.reachable) return success("");
  const answer = await httpGet(request, AbortSignal.timeout(timeoutSeconds * 1000));
  if ("failure" in answer) return failure(`Get "${answer.url}": ${answer.failure}`);
  const { status, body, isRedirect } = answer;
  // A redirect that is not followed counts as a success, with a warning.
  if (isRedirect) return { outcome: "warning", output: `Probe terminated redirects, Response body: ${body}` };
  return status >= 200 && status < 300 ? success(body) : failure(`HTTP probe failed with statuscode: ${status}`);
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
    connection.on("error", (error) =>
      end(failure(dialError(error, { shown: `${host}:${port}`, timedOut: "i/o timeout" }))),
    );
  });
}
