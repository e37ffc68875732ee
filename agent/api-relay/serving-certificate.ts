import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { apiServerNames, signers } from "#api";
import { type Clock, type Log, messageOf, type Random, sleep } from "#base";
import type { Client } from "#client";

export interface ServingCertificateOptions {
  client: Client;
  /** The node's name. */
  name: string;
  /** The folder of its file; only the agent's user can read it. */
  folder: string;
  /** The addresses of the API's service; empty while it has none. */
  addresses(): readonly string[];
  clock: Clock;
  random: Random;
  log: Log;
}

/** A certificate and its private key, in PEM. */
export interface ServingCertificate {
  cert: string;
  key: string;
}

/** As of the gateway's certificate. */
const validSeconds = 90 * 24 * 3600;
/** Controllers sign within seconds, and on AWS each read has a price. */
const wait = { first: 1000, longest: 10_000, total: 300_000 };
/** The longest wait between two looks at the clock: timers are limited, and a machine may sleep. */
const checkMilliseconds = 3_600_000;
const backoffMilliseconds = { first: 5000, longest: 600_000 };

/**
 * Keeps a certificate by which the node serves the API inside its pods: reads the stored one, or else requests one, and
 * renews it after 70 to 90 percent of its validity, as kubelets do. The private key does not leave the node. Calls
 * `changed` with each certificate once it is stored, until the signal aborts; tries again after a failure.
 */
export async function keepServingCertificate(
  options: ServingCertificateOptions,
  { changed, signal }: { changed(certificate: ServingCertificate): void; signal: AbortSignal },
): Promise<void> {
  const { clock, random, log, name } = options;
  let current = await read(options);
  if (current) changed(current);
  let due = current ? renewalOf(current, random) : 0;
  let pause = backoffMilliseconds.first;
  while (!signal.aborted) {
    const left = due - clock.now();
    if (left > 0) {
      await sleep(clock, Math.min(left, checkMilliseconds), signal);
      continue;
    }
    try {
      current = await obtain(options, signal);
      if (signal.aborted) return;
      await write(options.folder, current);
      log.info("the node has a certificate for the API inside its pods", { node: name });
      changed(current);
      due = renewalOf(current, random);
      pause = backoffMilliseconds.first;
    } catch (error) {
      if (signal.aborted) return;
      log.warn("the certificate for the API inside pods could not be obtained", {
        node: name,
        error: messageOf(error),
      });
      // Nodes that start together do not try again together.
      await sleep(clock, pause * (0.5 + random.fraction()), signal);
      pause = Math.min(2 * pause, backoffMilliseconds.longest);
    }
  }
}

async function obtain(options: ServingCertificateOptions, signal: AbortSignal): Promise<ServingCertificate> {
  const { client, name, clock } = options;
  const addresses = options.addresses();
  if (addresses.length === 0) throw new Error("the service kubernetes has no address yet");
  // The library that writes requests is loaded once in three months.
  const { requestCertificate } = await import("#joining");
  return requestCertificate(client, {
    prefix: "api-serving-",
    nodeName: name,
    signerName: signers.apiServing,
    usages: ["digital signature", "server auth"],
    names: [...apiServerNames, ...addresses],
    seconds: validSeconds,
    clock,
    wait,
    signal,
  });
}

function renewalOf({ cert }: ServingCertificate, random: Random): number {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  const from = validFromDate.getTime();
  return from + (0.7 + 0.2 * random.fraction()) * (validToDate.getTime() - from);
}

const fileIn = (folder: string): string => join(folder, "api-serving.json");

/**
 * The stored certificate; undefined for one that is missing, damaged, expired, for other names, or of another node, as
 * on a machine that was made from an image of one.
 */
async function read({
  folder,
  name,
  addresses,
  clock,
}: ServingCertificateOptions): Promise<ServingCertificate | undefined> {
  try {
    const { cert, key } = JSON.parse(await readFile(fileIn(folder), "utf8")) as ServingCertificate;
    const parsed = new X509Certificate(cert);
    const isFor = [
      ...apiServerNames.map((host) => parsed.checkHost(host)),
      ...addresses().map((address) => parsed.checkIP(address)),
    ].every((found) => found !== undefined);
    const isValid = parsed.validToDate.getTime() > clock.now() && parsed.checkPrivateKey(createPrivateKey(key));
    const isOwn = parsed.subject.split("\n").includes(`CN=system:node:${name}`);
    return isOwn && isFor && isValid ? { cert, key } : undefined;
  } catch {
    return undefined;
  }
}

/** By rename, after it was flushed: key and certificate are stored together. */
async function write(folder: string, certificate: ServingCertificate): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = fileIn(folder);
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(certificate)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}
