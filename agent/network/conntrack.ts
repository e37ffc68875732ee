import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { type Log, messageOf } from "#base";
import type { ProxyPort } from "./model.ts";

/** A flow of UDP that the kernel remembers: where it was sent to, and the endpoint that answers. */
export interface Flow {
  destination: string;
  destinationPort: number;
  endpoint: string;
  endpointPort: number;
}

/** Reads lines of /proc/net/nf_conntrack or of `conntrack -L`. Lines of other protocols are left out. */
export function parseFlows(text: string): Flow[] {
  return text.split("\n").flatMap((line) => {
    if (!/\budp\b/.test(line)) return [];
    const values = (name: string): string[] =>
      [...line.matchAll(new RegExp(`\\b${name}=(\\S+)`, "g"))].map(([, value = ""]) => value);
    // Each value twice: of the packet, and of the answer.
    const [destination, destinationPort] = [values("dst")[0], values("dport")[0]];
    const [endpoint, endpointPort] = [values("src")[1], values("sport")[1]];
    if (!destination || !endpoint || !destinationPort || !endpointPort) return [];
    return [{ destination, endpoint, destinationPort: Number(destinationPort), endpointPort: Number(endpointPort) }];
  });
}

/**
 * Flows to a frontend of a UDP service whose endpoint no longer serves: their packets go there for as long as the
 * client sends any. Flows to node ports count only where the service has endpoints. Follows upstream's
 * CleanStaleEntries.
 */
export function staleFlows(flows: readonly Flow[], ports: Iterable<ProxyPort>): Flow[] {
  const frontends = new Map<string, ReadonlySet<string>>();
  const nodePorts = new Map<number, ReadonlySet<string>>();
  for (const { protocol, clusterIP, port, externalIPs, loadBalancerIPs, nodePort, serving } of ports) {
    if (protocol !== "UDP") continue;
    const endpoints = new Set(serving);
    for (const ip of [clusterIP, ...loadBalancerIPs, ...externalIPs]) frontends.set(`${ip} ${port}`, endpoints);
    if (nodePort !== 0 && endpoints.size > 0) nodePorts.set(nodePort, endpoints);
  }
  const stale = new Map<string, Flow>();
  for (const flow of flows) {
    const { destination, destinationPort, endpoint, endpointPort } = flow;
    const endpoints = frontends.get(`${destination} ${destinationPort}`) ?? nodePorts.get(destinationPort);
    if (!endpoints || endpoints.has(`${endpoint} ${endpointPort}`)) continue;
    stale.set(`${destination} ${destinationPort} ${endpoint} ${endpointPort}`, flow);
  }
  return [...stale.values()];
}

/** Deletes stale flows of UDP services. Without conntrack(8) they are reported, and end by the kernel's timeout. */
export class ConntrackCleaner {
  readonly #log: Log;
  #hasReported = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Never rejects: what is left over is logged. */
  async clean(ports: Iterable<ProxyPort>): Promise<void> {
    try {
      for (const flow of staleFlows(await listFlows(), ports)) await this.#delete(flow);
    } catch (error) {
      this.#log.warn("stale UDP flows could not be deleted", { error: messageOf(error) });
    }
  }

  async #delete({ destination, destinationPort, endpoint, endpointPort }: Flow): Promise<void> {
    const match = ["--orig-dst", destination, "--orig-port-dst", `${destinationPort}`];
    const reply = ["--reply-src", endpoint, "--reply-port-src", `${endpointPort}`];
    const { code, stderr } = await conntrack(["-D", "-p", "udp", ...match, ...reply]);
    if (code === 0 || /0 flow entries/.test(stderr)) return;
    if (code !== "ENOENT") throw new Error(stderr.trim());
    if (this.#hasReported) return;
    this.#hasReported = true;
    const error = "the program conntrack is missing (package conntrack): UDP clients keep an endpoint that has gone";
    this.#log.warn("stale UDP flows are not deleted", { error });
  }
}

async function listFlows(): Promise<Flow[]> {
  const { code, stdout } = await conntrack(["-L", "-p", "udp"]);
  if (code === 0) return parseFlows(stdout);
  return parseFlows(await readFile("/proc/net/nf_conntrack", "utf8"));
}

function conntrack(args: string[]): Promise<{ code: number | string; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile("conntrack", args, { maxBuffer: 2 ** 28 }, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? 1) : 0, stdout, stderr }),
    );
  });
}
