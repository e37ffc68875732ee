import { X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Certificate } from "#auth/certificates";
import { type Log, messageOf, sleep, systemClock } from "#base";
import { parseToken } from "#bootstrap-tokens";
import { discover, enroll, renew, renewalOf } from "#joining";
import { type DataFolder, Refusal } from "./data-folder.ts";
import { nodeName } from "./node-name.ts";
import type { JoinOptions } from "./options.ts";

/** A machine's place in a cluster that it has joined. */
export interface Membership {
  server: string;
  ca: string;
  podCidr: string;
  serviceCidr: string;
  name: string;
  certificate: Certificate;
}

export interface CertificateKeeper {
  member: Membership;
  folder: DataFolder;
  log: Log;
  /** Ends it. */
  signal: AbortSignal;
  /** Called with each renewed certificate once it is stored. */
  renewed(member: Membership): void;
}

/** The longest wait between two looks at the clock: timers are limited, and a machine may sleep. */
const checkMilliseconds = 3_600_000;
const retryMilliseconds = 60_000;

/** Renews the node's certificate before it expires, until the signal aborts. Tries again after a failure. */
export async function keepCertificate({ member, folder, log, signal, renewed }: CertificateKeeper): Promise<void> {
  for (let current = member; !signal.aborted; ) {
    const left = renewalOf(current.certificate) - systemClock.now();
    if (left > 0) {
      await sleep(systemClock, Math.min(left, checkMilliseconds), signal);
      continue;
    }
    try {
      const { server, ca, certificate, name } = current;
      const next = { server, ca, certificate, nodeName: name, clock: systemClock };
      current = { ...current, certificate: await renew(next) };
      write(folder, current);
      log.info("the certificate of the node was renewed", { node: name });
      renewed(current);
    } catch (error) {
      log.warn("the certificate of the node could not be renewed", { node: current.name, error: messageOf(error) });
      await sleep(systemClock, retryMilliseconds, signal);
    }
  }
}

const fileOf = ({ root }: DataFolder): string => join(root, "membership.json");

/** The stored membership while its certificate is valid and its server is the requested one, or else a new one. */
export async function openMembership(folder: DataFolder, options: JoinOptions): Promise<Membership> {
  const stored = readMembership(folder);
  const isValid = stored && new X509Certificate(stored.certificate.cert).validToDate.getTime() > systemClock.now();
  const isSame = stored && (options.server?.replace(/\/+$/, "") ?? stored.server) === stored.server;
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

/** The membership that is stored in a folder; undefined for the folder of a cluster. Throws Refusal if it is damaged. */
export function readMembership(folder: DataFolder): Membership | undefined {
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
