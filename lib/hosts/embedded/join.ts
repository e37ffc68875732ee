import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import type { Certificate } from "#auth/certificates";
import { messageOf, type Progress, systemClock } from "#base";
import { parseToken } from "#bootstrap-tokens";
import { discover, enroll } from "#joining";
import { machineSettings, networkSettings, startAgent } from "./agent-process.ts";
import { type DataFolder, dataFolder, lockFolder, Refusal } from "./data-folder.ts";
import { fileLog } from "./log.ts";
import { checkMachine, prepareRules } from "./machine.ts";
import { claimNetwork } from "./network.ts";
import { nodeName } from "./node-name.ts";
import type { JoinOptions } from "./options.ts";
import { aborted, endBySignal, reasonOf, type Stack } from "./running.ts";
import { chooseRuntime } from "./runtime.ts";

/** A machine's place in a cluster that it has joined. */
interface Membership {
  server: string;
  ca: string;
  podCidr: string;
  serviceCidr: string;
  name: string;
  certificate: Certificate;
}

/**
 * `skiff join`: runs a node of another machine's cluster until a signal ends it. The first start needs a server and a
 * token; later ones use the stored certificate. Resolves with the exit code.
 */
export async function join(options: JoinOptions, program: string, progress: Progress): Promise<number> {
  const stopping = new AbortController();
  const release = endBySignal(stopping);
  try {
    await run(options, program, progress, stopping.signal);
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) return 0;
    progress.fail(reasonOf(error, options.dataDir));
    if (options.verbose && error instanceof Error && error.stack) progress.note(error.stack);
    return 1;
  } finally {
    release();
  }
}

async function run(options: JoinOptions, program: string, progress: Progress, signal: AbortSignal): Promise<void> {
  checkMachine(options);
  const folder = dataFolder(options.dataDir);
  if (existsSync(folder.store)) throw new Refusal(`${folder.root} holds a cluster: choose another --data-dir`);
  const opened: Stack = [];
  try {
    const lock = lockFolder(folder);
    opened.push(() => lock.release());
    const log = fileLog(folder.logs, "join", options.verbose);
    opened.push(() => log.close());
    const runtime = await chooseRuntime(options, progress);
    progress.step("joining the cluster");
    const { server, ca, podCidr, serviceCidr, name, certificate } = await membership(folder, options);
    progress.done(server);
    const isOwn = runtime === "containerd" && options.containerdSocket === undefined;
    const network = isOwn ? claimNetwork(folder, { podCidr, serviceCidr }, log) : undefined;
    if (runtime === "containerd") await prepareRules(options, log);
    if (signal.aborted) return;
    progress.step(`starting the agent (${runtime})`);
    const since = new Date(systemClock.now()).toISOString();
    const agent = await startAgent({
      program,
      folder,
      runtime,
      settings: {
        server,
        ca,
        // The cluster assigns the node's part of its pod addresses.
        nodes: [{ name, certificate }],
        ...(network ? networkSettings(network) : {}),
        serviceCidr,
        ...machineSettings(options),
      },
      log,
      launched: (pid) => lock.tell({ pid: process.pid, agent: pid, server, runtime, nodes: [name], since }),
    });
    opened.push(() => agent.stop());
    progress.done();
    progress.note(`\nThis machine is the node ${name} of ${server}. Ctrl-C stops the agent.`);
    await aborted(signal);
    progress.step("stopping the agent");
  } finally {
    for (const close of opened.reverse()) await close();
    if (signal.aborted) progress.done("(containers keep running; skiff down removes them)");
  }
}

const fileOf = ({ root }: DataFolder): string => joinPath(root, "membership.json");

/** The stored membership while its certificate is valid and its server is the requested one, or else a new one. */
async function membership(folder: DataFolder, options: JoinOptions): Promise<Membership> {
  const stored = read(folder);
  const isValid = stored && new X509Certificate(stored.certificate.cert).validToDate.getTime() > systemClock.now();
  const isSame = stored && (options.server ?? stored.server) === stored.server;
  if (isValid && isSame && (options.nodeName ?? stored.name) === stored.name) return stored;
  const { server = stored?.server, token: text, caHash, nodeName: requested = stored?.name } = options;
  if (server === undefined || text === undefined) {
    const why = stored && isSame ? "the certificate of this node has expired" : "this machine is not in a cluster yet";
    throw new Refusal(`${why}: --server and --token are needed (skiff token create prints them)`);
  }
  const token = parseToken(text);
  if (!token) throw new Refusal("--token is not a bootstrap token: expected six characters, a dot and sixteen more");
  const name = requested ?? nodeName();
  const shared = { server: server.replace(/\/+$/, ""), token, clock: systemClock };
  try {
    const found = await discover({ ...shared, caHash });
    const certificate = await enroll({ ...shared, ca: found.ca, nodeName: name });
    const made = { server: shared.server, ...found, name, certificate };
    write(folder, made);
    return made;
  } catch (error) {
    throw new Refusal(messageOf(error));
  }
}

function read(folder: DataFolder): Membership | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(folder), "utf8")) as Membership;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Refusal(`${fileOf(folder)} cannot be read: ${messageOf(error)}`);
  }
}

/** By rename, after it was flushed: key and certificate are stored together. */
function write(folder: DataFolder, membership: Membership): void {
  mkdirSync(folder.root, { recursive: true, mode: 0o700 });
  const path = fileOf(folder);
  writeFileSync(`${path}.new`, `${JSON.stringify(membership)}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}
