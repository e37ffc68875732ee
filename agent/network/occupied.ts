import { readFile } from "node:fs/promises";
import type { PortChange } from "./model.ts";

/** A node port of a service that a process of this machine uses, too. */
export interface OccupiedPort {
  /** `namespace/name`. */
  service: string;
  nodePort: number;
  protocol: string;
}

/** States of sockets in the kernel's files: listening (TCP), and bound without a peer (UDP). */
const states = { TCP: "0A", UDP: "07" } as const;

/** Ports at which sockets receive, from a file such as /proc/net/tcp; those that are bound to a loopback are left out. */
export function boundPorts(text: string, protocol: "TCP" | "UDP"): Set<number> {
  const lines = text.split("\n").slice(1);
  return new Set(
    lines.flatMap((line) => {
      const [, local = "", , state] = line.trim().split(/\s+/);
      const [address = "", port = ""] = local.split(":");
      // 127.x.x.x, its last byte first, and ::1: node ports are not served there.
      const isLoopback = /^[0-9A-F]{6}7F$/.test(address) || address === `${"0".repeat(24)}01000000`;
      return state === states[protocol] && !isLoopback ? [Number.parseInt(port, 16)] : [];
    }),
  );
}

/**
 * New node ports of services that a process of this machine uses. The rules win: packets to the port go to the service,
 * as upstream, where kube-proxy does not notice.
 */
export async function occupiedPorts(changes: readonly PortChange[]): Promise<OccupiedPort[]> {
  const fresh = changes.flatMap(({ before, after }) =>
    after && after.nodePort !== 0 && after.nodePort !== before?.nodePort ? [after] : [],
  );
  if (fresh.length === 0) return [];
  const bound = { TCP: await readPorts("TCP"), UDP: await readPorts("UDP") };
  return fresh.flatMap(({ service, nodePort, protocol }) =>
    protocol !== "SCTP" && bound[protocol].has(nodePort) ? [{ service, nodePort, protocol }] : [],
  );
}

async function readPorts(protocol: "TCP" | "UDP"): Promise<Set<number>> {
  const name = protocol.toLowerCase();
  const texts = await Promise.all(
    // A machine without IPv6 has no second file.
    [name, `${name}6`].map((file) => readFile(`/proc/net/${file}`, "utf8").catch(() => "")),
  );
  return new Set(texts.flatMap((text) => [...boundPorts(text, protocol)]));
}
