import { type HttpGetAction, httpGet, requestOf } from "#agent/probes";
import type { StreamPort } from "#agent/runtime";
import type { Container, LifecycleHandler } from "#api";
import { type Clock, messageOf, sleep } from "#base";

export interface HookTarget {
  container: Container;
  containerId: string;
  ip: string;
  streams: StreamPort;
  clock: Clock;
  /** False where pods cannot be reached over the network: HTTP hooks then succeed. */
  reachable: boolean;
  signal?: AbortSignal | undefined;
  /** Called with upstream's message when an HTTPS hook was answered over HTTP only. */
  fellBack?: ((message: string) => void) | undefined;
}

/** Runs a lifecycle hook to its end. Throws an Error with upstream's message when it fails. */
export async function runHook(handler: LifecycleHandler, target: HookTarget): Promise<void> {
  if (handler.exec) {
    const command = handler.exec.command ?? [];
    const { exitCode, stdout, stderr } = await target.streams.run(target.containerId, command, 0);
    if (exitCode === 0) return;
    const output = Buffer.concat([stdout, stderr]).toString();
    throw new Error(
      `Exec lifecycle hook (${JSON.stringify(command)}) for Container "${target.container.name}" failed - error: command '${command.join(" ")}' exited with ${exitCode}: ${output}, message: ${JSON.stringify(output)}`,
    );
  }
  if (handler.httpGet) return httpHook(handler.httpGet, target);
  if (handler.sleep) return sleep(target.clock, Number(handler.sleep.seconds) * 1000, target.signal);
  // tcpSocket exists for old manifests and does nothing, as in upstream.
}

async function httpHook(get: HttpGetAction, target: HookTarget): Promise<void> {
  if (!target.reachable) return;
  const why = await httpFailure(get, target).catch(messageOf);
  if (why === undefined) return;
  throw new Error(
    `HTTP lifecycle hook (${get.path ?? ""}) for Container "${target.container.name}" failed - error: ${why}`,
  );
}

/**
 * Why the hook failed, by upstream's runHTTPHandler: a response of any status is a success, and a server that answers
 * HTTPS in plain HTTP is asked again over HTTP, without credentials.
 */
async function httpFailure(get: HttpGetAction, target: HookTarget): Promise<string | undefined> {
  const request = requestOf(get, target, "lifecycle");
  const first = await httpGet(request, target.signal);
  if (!("failure" in first)) return undefined;
  if (first.isPlain) {
    const headers = Object.entries(request.headers).filter(([name]) => name.toLowerCase() !== "authorization");
    const url = request.url.replace(/^https:/, "http:");
    const second = await httpGet({ ...request, url, headers: Object.fromEntries(headers) }, target.signal);
    if (!("failure" in second)) {
      target.fellBack?.(
        `request to HTTPS lifecycle hook ${request.shown} got HTTP response, retry with HTTP succeeded`,
      );
      return undefined;
    }
  }
  return `Get "${first.url}": ${first.failure}`;
}
