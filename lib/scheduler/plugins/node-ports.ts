import { type HostPort, type NodeInfo, type Plugin, podInfo } from "../framework/index.ts";

const any = "0.0.0.0";

/** Whether two uses of a port conflict: the wildcard address conflicts with every other. */
const clash = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === any || b.ip === any);

function taken({ pods }: NodeInfo, wanted: readonly HostPort[]): boolean {
  for (const { ports } of pods.values()) {
    if (ports.some((port) => wanted.some((other) => clash(port, other)))) return true;
  }
  return false;
}

/** Filters nodes on which a host port of the pod is in use. */
export const nodePorts: Plugin = {
  name: "NodePorts",
  filter({ ports }, node) {
    if (ports.length === 0 || !taken(node, ports)) return undefined;
    return { reasons: ["node(s) didn't have free ports for the requested pod ports"], resolvable: true };
  },
  hint(event, { ports }) {
    if (event.type === "node-added") return true;
    if (event.type !== "pod-removed") return false;
    return podInfo(event.pod).ports.some((port) => ports.some((other) => clash(port, other)));
  },
};
