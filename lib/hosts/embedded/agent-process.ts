import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { getCompileCacheDir } from "node:module";
import { dirname, join, resolve } from "node:path";
import { type Log, sleep, systemClock } from "#base";
import type { DataFolder } from "./data-folder.ts";
import type { ClusterNetwork } from "./network.ts";
import type { MachineOptions } from "./options.ts";
import { dockerSocketOf, type RuntimeName } from "./runtime.ts";

/** The agent as a process of its own, started again when it falls. */
export interface AgentProcess {
  readonly pid: number;
  /** The reason why it exits, once it has done so several times in a row. */
  readonly failed: string | undefined;
  /** Starts the agent again with other settings; its containers run on. */
  restart(settings: AgentStart["settings"]): void;
  stop(): Promise<void>;
}

export interface AgentStart {
  /** The agent's program. */
  program: string;
  folder: DataFolder;
  runtime: RuntimeName;
  /** The agent's configuration, without what follows from the other members. */
  settings: Readonly<Record<string, unknown>>;
  log: Log;
  /** Called for each process that is started, the first included. */
  launched(pid: number): void;
}

/** MiB of the young generation: small, so that memory is returned early at the cost of more collections. */
const flags = ["--max-semi-space-size=4"];
/**
 * For glibc's malloc(3): one arena, and memory is returned when 128 KiB at its end are free. Pools of each thread and a
 * growing limit keep about 50 MiB after 100 pods were started.
 */
const malloc = { MALLOC_ARENA_MAX: "1", MALLOC_TRIM_THRESHOLD_: "131072" };
/** A fall after so long is a new trouble, not the old one again. */
const settled = 30_000;
const longestBackoff = 10_000;
const stopGrace = 10_000;
const tooOften = 3;

export async function startAgent(start: AgentStart): Promise<AgentProcess> {
  const config = writeConfig(start);
  const output = join(start.folder.logs, "agent.log");
  let restarting = false;
  const begin = (): ChildProcess => {
    restarting = false;
    const made = launch(start.program, config, output);
    start.launched(made.pid ?? 0);
    return made;
  };
  let child = begin();
  let stopping = false;
  let falls = 0;
  let failed: string | undefined;
  const stopped = new AbortController();
  const watch = async (): Promise<void> => {
    for (;;) {
      const since = systemClock.now();
      const [code, signal] =
        child.exitCode === null && child.signalCode === null
          ? await once(child, "exit")
          : [child.exitCode, child.signalCode];
      if (stopping) return;
      if (restarting) {
        child = begin();
        continue;
      }
      falls = systemClock.now() - since > settled ? 1 : falls + 1;
      const how = signal ? `it was ended by ${signal}` : `it ended with code ${code}`;
      start.log.error("the agent has ended and is started again", { code, signal, falls });
      if (falls >= tooOften) failed = how;
      await sleep(systemClock, Math.min(200 * 2 ** falls, longestBackoff), stopped.signal);
      if (stopping) return;
      child = begin();
    }
  };
  const watching = watch();
  return {
    get pid() {
      return child.pid ?? 0;
    },
    get failed() {
      return failed;
    },
    restart(settings) {
      writeConfig({ ...start, settings });
      restarting = true;
      child.kill("SIGTERM");
    },
    async stop() {
      stopping = true;
      stopped.abort();
      if (child.exitCode === null && child.signalCode === null) {
        const cut = systemClock.timer(stopGrace, () => child.kill("SIGKILL"));
        child.kill("SIGTERM");
        await once(child, "exit");
        cut.cancel();
      }
      await watching;
    },
  };
}

/** A process group of its own: Ctrl-C reaches the cluster, which then stops the agent in order. */
function launch(program: string, config: string, output: string): ChildProcess {
  const out = openSync(output, "a", 0o600);
  try {
    const cache = getCompileCacheDir();
    const env = { ...malloc, ...process.env, ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) }) };
    return spawn(process.execPath, [...flags, program, "--config", config], {
      stdio: ["ignore", out, out],
      detached: true,
      env,
    });
  } finally {
    closeSync(out);
  }
}

/** The agent's settings and identities, in a file that only the owner reads. */
function writeConfig({ folder, runtime, settings }: AgentStart): string {
  const home = join(folder.agents, runtime);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  // The agent exits when the process that started it has exited.
  const config = { ...settings, runtime, dataDir: home, parent: process.pid };
  const path = join(home, "agent.json");
  writeFileSync(path, `${JSON.stringify(config)}\n`, { mode: 0o600 });
  return path;
}

/** The settings of an agent that are options of this machine. */
export function machineSettings(options: MachineOptions): Record<string, unknown> {
  return {
    ...(options.containerdSocket === undefined ? {} : { containerdSocket: options.containerdSocket }),
    ...(options.runtime === "docker" ? { dockerSocket: dockerSocketOf(options) } : {}),
    ...(options.proxyMode === undefined ? {} : { proxyMode: options.proxyMode }),
    ...(options.nodeportAddresses === undefined ? {} : { nodePortAddresses: options.nodeportAddresses }),
    registryMirrors: options.registryMirror,
    ...(options.resolvConf === undefined ? {} : { resolvConf: resolve(options.resolvConf) }),
    ...staticPodsOf(options),
    ...evictionOf(options),
    ...reservedOf(options),
    ...shutdownOf(options),
    verbose: options.verbose,
  };
}

/** The agent's part of a cluster's network on this machine. */
export const networkSettings = ({ name, bridge, cgroupRoot, podCidr }: ClusterNetwork) => ({
  network: { name, bridge, cgroupRoot },
  clusterCidr: podCidr,
});

function evictionOf({
  evictionHard: hard,
  evictionSoft: soft,
  evictionSoftGracePeriod: softGracePeriod,
}: MachineOptions) {
  if (hard === undefined && soft === undefined) return {};
  return { eviction: { hard, soft, softGracePeriod } };
}

/** How long pods have to end when the machine shuts down, as the agent's configuration has it. */
export function shutdownOf(options: MachineOptions) {
  const { shutdownGracePeriod: total, shutdownGracePeriodCriticalPods: critical } = options;
  const { shutdownGracePeriodByPodPriority: byPriority } = options;
  const isAbsent = total === undefined && critical === undefined && byPriority === undefined;
  return isAbsent ? {} : { shutdown: { total, critical, byPriority } };
}

function reservedOf({ systemReserved: system, kubeReserved: kube }: MachineOptions) {
  return system === undefined && kube === undefined ? {} : { reserved: { system, kube } };
}

function staticPodsOf({
  staticPodPath: path,
  staticPodUrl: url,
  staticPodUrlHeader,
  staticPodPort: port,
}: MachineOptions) {
  if (path === undefined && url === undefined && port === undefined) return {};
  const headers = staticPodUrlHeader.map((header) => /^([^:]+):\s*(.*)$/.exec(header)!.slice(1));
  const at = path === undefined ? undefined : resolve(path);
  return {
    staticPods: { path: at, url, ...(headers.length > 0 ? { headers: Object.fromEntries(headers) } : {}), port },
  };
}
