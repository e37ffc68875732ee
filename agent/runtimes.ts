import { join } from "node:path";
import type { NodeOptions } from "#agent/node";
import type { Runtime } from "#agent/runtime";
import { containerdRuntime } from "#agent/runtime/containerd";
import {
  gatewayOf,
  keepPrivate,
  namedAfter,
  parseMirrors,
  repairBridge,
  startPrivate,
} from "#agent/runtime/containerd/private";
import { openDocker } from "#agent/runtime/docker";
import { fakeRuntime } from "#agent/runtime/fake";
import { type Log, systemClock } from "#base";
import type { AgentConfig } from "./config.ts";

export interface RuntimeRequest {
  config: AgentConfig;
  /** The node's name. */
  name: string;
  podCidr: string;
  log: Log;
  /** Ends the supervision of a containerd of our own. */
  stopping: AbortSignal;
}

export interface NodeRuntime {
  runtime: Runtime;
  /** Where this agent is responsible for the pods' network. */
  networkState: NodeOptions["networkState"];
  /**
   * The node's own address in the pod network, where its services for pods listen. Absent where another component
   * manages the network, and with IPv6.
   */
  gateway?: string;
}

/**
 * Opens the runtime of a node; starts a containerd of our own, with its bridge, unless another one is configured.
 * Rejects when either is not usable.
 */
export async function openRuntime({ config, name, podCidr, log, stopping }: RuntimeRequest): Promise<NodeRuntime> {
  if (config.runtime === "fake") {
    return { runtime: fakeRuntime({ clock: systemClock, podCidr }), networkState: undefined };
  }
  const open = (socket: string): Runtime => containerdRuntime({ socket, owner: name, clock: systemClock, log });
  if (config.containerdSocket !== undefined) {
    return { runtime: open(config.containerdSocket), networkState: undefined };
  }
  const names = config.network ?? namedAfter(name);
  // The rules of services also masquerade where they know the pods of all nodes; the CNI plugin knows only this node's.
  const masquerade = config.clusterCidr === undefined || config.proxyMode === "none";
  const network = { name: names.name, bridge: names.bridge, podCidr, masquerade };
  // On AWS a node's network depends on the cluster's routes, and their controller reports it.
  const networkState = config.network && (() => repairBridge(network, log));
  const gateway = podCidr.includes(":") ? {} : { gateway: gatewayOf(podCidr).address };
  if (config.runtime === "docker") {
    const socket = config.dockerSocket ?? "";
    const runtime = await openDocker({ socket, owner: name, folder: join(config.dataDir, "docker"), network, log });
    return { runtime, networkState, ...gateway };
  }
  const options = {
    folder: join(config.dataDir, "containerd"),
    network,
    mirrors: parseMirrors(config.registryMirrors),
    log,
  };
  const { socket } = await startPrivate(options);
  const state = await repairBridge(network, log);
  if (!state.ok) throw new Error(state.message);
  void keepPrivate(options, systemClock, stopping);
  return { runtime: open(socket), networkState, ...gateway };
}
