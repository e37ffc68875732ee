import { readFileSync } from "node:fs";
import { requestSigner } from "#aws/request-signer";
import { type Log, type LogFields, messageOf, systemClock } from "#base";
import { mustBeOurs, proxyKubeconfig, writeKubeconfig } from "./kubeconfig.ts";
import { startProxy } from "./serve.ts";
import { type ProxyOptions, settingsOf } from "./settings.ts";

/** Runs until SIGINT or SIGTERM. Resolves with the exit code; throws an Error with one line on failure. */
export async function proxy(options: ProxyOptions): Promise<number> {
  const { server, link, region, clusterId } = settingsOf(options);
  if (options.kubeconfig !== undefined) mustBeOurs(options.kubeconfig);
  const ca = options.ca === undefined ? undefined : authorityIn(options.ca);
  const sign = requestSigner({ region });
  const running = await startProxy({
    server,
    link,
    sign,
    port: options.port,
    ca,
    clock: systemClock,
    log: lineLog(options.verbose),
  });
  const text = proxyKubeconfig({ ...running, clusterId });
  if (options.kubeconfig === undefined) process.stdout.write(text);
  else writeKubeconfig(options.kubeconfig, text);
  const use = options.kubeconfig === undefined ? "" : `; use it with\n  export KUBECONFIG=${options.kubeconfig}`;
  process.stderr.write(`${running.url} passes requests on to ${server}${use}\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  await running.close();
  return 0;
}

function authorityIn(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`--ca ${path}: ${messageOf(error)}`);
  }
}

/** Readable lines, on the standard error. */
function lineLog(verbose: boolean): Log {
  const write = (message: string, fields: LogFields = {}): void => {
    const more = Object.entries(fields).map(
      ([name, value]) => ` ${name}=${value instanceof Error ? value.message : value}`,
    );
    process.stderr.write(`${message}:${more.join("")}\n`);
  };
  const quiet = (): void => {};
  return { debug: verbose ? write : quiet, info: verbose ? write : quiet, warn: write, error: write };
}
