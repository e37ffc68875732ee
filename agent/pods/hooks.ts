import { request } from "node:http";
import { request as secureRequest } from "node:https";
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

type HttpGet = NonNullable<LifecycleHandler["httpGet"]>;

async function httpHook(get: HttpGet, target: HookTarget): Promise<void> {
  if (!target.reachable) return;
  const named = (target.container.ports ?? []).find(({ name }) => name !== undefined && name === get.port);
  const port = named?.containerPort ?? (Number(get.port) || (get.port === undefined ? 80 : Number.NaN));
  const host = get.host || target.ip;
  const path = get.path?.startsWith("/") ? get.path : `/${get.path ?? ""}`;
  const secure = get.scheme === "HTTPS";
  const url = `${secure ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}${path}`;
  const headers: Record<string, string> = { "User-Agent": "kube-lifecycle/1.36", Accept: "*/*" };
  for (const { name, value } of get.httpHeaders ?? []) headers[name] = value;
  try {
    await new Promise<void>((resolve, reject) => {
      const outgoing = (secure ? secureRequest : request)(
        url,
        { headers, rejectUnauthorized: false, agent: false, ...(target.signal ? { signal: target.signal } : {}) },
        (answer) => {
          answer.resume().on("end", resolve).on("error", reject);
          if ((answer.statusCode ?? 0) >= 400) reject(new Error(`HTTP hook answered ${answer.statusCode}`));
        },
      );
      outgoing.on("error", reject).end();
    });
  } catch (error) {
    throw new Error(
      `HTTP lifecycle hook (${get.path ?? ""}) for Container "${target.container.name}" failed - error: Get "${url}": ${messageOf(error)}`,
      { cause: error },
    );
  }
}
