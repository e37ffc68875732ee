import { createHash } from "node:crypto";
import { NodeRoutes, removeRoutes } from "#agent/overlay";
import { namedAfter } from "#agent/runtime/containerd/private";
import { type Node, nodes } from "#api";
import { aborted, type Log, systemClock } from "#base";
import { type Client, startInformer } from "#client";
import type { Component, Running } from "./components.ts";
import type { AgentConfig } from "./config.ts";

export interface NodeRoutesRequest {
  config: AgentConfig;
  /** The node's name. */
  name: string;
  client: Client;
  log: Log;
  /** Ends the wait for the first list. */
  signal: AbortSignal;
}

/** The routes to the pods of other nodes, where the agent manages its node's network. */
export function nodeRoutes(request: NodeRoutesRequest): Component {
  return { name: "routes to other nodes", start: () => start(request) };
}

async function start({ config, name, client, log, signal }: NodeRoutesRequest): Promise<Running> {
  const { clusterCidr, overlay, ca = "" } = config;
  if (clusterCidr === undefined) return { stop: () => {} };
  const { bridge } = config.network ?? namedAfter(name);
  if (overlay === undefined) {
    // The cluster may have had nodes on other machines at an earlier start.
    await removeRoutes(bridge, clusterCidr);
    return { stop: () => {} };
  }
  const routes = new NodeRoutes({ name, mode: overlay, clusterCidr, bridge, vni: vniOf(ca), clock: systemClock, log });
  const informer = startInformer<Node>({
    client,
    kind: nodes,
    clock: systemClock,
    log,
    changed: ({ type, object }) => {
      if (type === "DELETED") routes.deleteNode(object.metadata.name ?? "");
      else routes.setNode(object);
    },
  });
  await Promise.race([informer.ready, aborted(signal)]);
  if (!signal.aborted) await routes.start();
  return {
    stop: async () => {
      await informer.stop();
      await routes.stop();
    },
  };
}

/** The number of a cluster's overlay: 24 bits that differ from those of other clusters of the same machines. */
const vniOf = (ca: string): number => createHash("sha256").update(ca).digest().readUIntBE(0, 3) || 1;
