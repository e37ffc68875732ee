import { existsSync } from "node:fs";
import { type Progress, systemClock } from "#base";
import { machineSettings, networkSettings, startAgent } from "./agent-process.ts";
import { dataFolder, lockFolder, Refusal } from "./data-folder.ts";
import { fileLog } from "./log.ts";
import { checkMachine, prepareRules } from "./machine.ts";
import { keepCertificate, type Membership, openMembership } from "./membership.ts";
import { claimNetwork } from "./network.ts";
import type { JoinOptions } from "./options.ts";
import { type Stack, untilSignal } from "./running.ts";
import { chooseRuntime } from "./runtime.ts";

/**
 * `skiff join`: runs a node of another machine's cluster until a signal ends it. The first start needs a server and a
 * token; later ones use the stored certificate. Resolves with the exit code.
 */
export function join(options: JoinOptions, program: string, progress: Progress): Promise<number> {
  return untilSignal(options, progress, (signal) => run(options, program, progress, signal));
}

async function run(options: JoinOptions, program: string, progress: Progress, signal: AbortSignal): Promise<void> {
  checkMachine(options);
  const folder = dataFolder(options.dataDir);
  if (existsSync(folder.store)) throw new Refusal(`${folder.root} is a cluster's: choose another --data-dir`);
  const opened: Stack = [];
  try {
    const lock = lockFolder(folder);
    opened.push(() => lock.release());
    const log = fileLog(folder.logs, "join", options.verbose);
    opened.push(() => log.close());
    const runtime = await chooseRuntime(options, progress);
    progress.step("joining the cluster");
    const member = await openMembership(folder, options);
    const { server, podCidr, serviceCidr, name } = member;
    progress.done(server);
    const isOwn = runtime === "docker" || (runtime === "containerd" && options.containerdSocket === undefined);
    const network = isOwn ? claimNetwork(folder, { podCidr, serviceCidr, isJoining: true }, log) : undefined;
    if (runtime !== "fake") await prepareRules(options, log);
    if (signal.aborted) return;
    progress.step(`starting the agent (${runtime})`);
    const since = new Date(systemClock.now()).toISOString();
    const settingsOf = ({ ca, certificate }: Membership) => ({
      server,
      ca,
      // The cluster assigns the node's part of its pod addresses.
      nodes: [{ name, certificate }],
      ...(network ? { ...networkSettings(network), overlay: options.overlay } : {}),
      serviceCidr,
      ...machineSettings(options),
    });
    const agent = await startAgent({
      program,
      folder,
      runtime,
      settings: settingsOf(member),
      log,
      launched: (pid) => lock.tell({ pid: process.pid, agent: pid, server, runtime, nodes: [name], since }),
    });
    opened.push(() => agent.stop());
    progress.done();
    progress.note(`\nThis machine is the node ${name} of ${server}. Ctrl-C stops the agent.`);
    await keepCertificate({ member, folder, log, signal, renewed: (next) => agent.restart(settingsOf(next)) });
    progress.step("stopping the agent");
  } finally {
    for (const close of opened.reverse()) await close();
    if (signal.aborted) progress.done("(containers keep running; skiff down removes them)");
  }
}
