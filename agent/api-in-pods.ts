import { ApiProxy, ApiRelay } from "#agent/api-relay";
import type { Redirects } from "#agent/network";
import { type Clock, type Log, systemRandom } from "#base";
import type { Client } from "#client";
import type { Component } from "./components.ts";
import type { AgentConfig } from "./config.ts";
import type { ServiceList } from "./service-list.ts";

export interface ApiInPodsRequest {
  config: AgentConfig;
  /** The node's name. */
  name: string;
  /** The node's folder. */
  folder: string;
  /** The node's own address in the pod network; asked once the runtime is open. */
  gateway(): string | undefined;
  client: Client;
  services: ServiceList;
  /** Services that the node answers itself. */
  redirects: Redirects;
  clock: Clock;
  log: Log;
}

/** The API as pods reach it at the address of its service. There is none where the node has no pod network. */
export function apiInPods(request: ApiInPodsRequest): Component {
  const { config, name, folder, client, services, redirects, clock, log } = request;
  const { server, ca, sigv4 } = config;
  const addresses = (): readonly string[] => {
    const api = services.inNamespace("default").find(({ metadata }) => metadata.name === "kubernetes");
    const { clusterIP, clusterIPs } = api?.spec ?? {};
    return clusterIPs ?? (clusterIP ? [clusterIP] : []);
  };
  return {
    name: "API relay",
    start: () => {
      const address = request.gateway();
      if (address === undefined) return { stop: () => {} };
      if (!sigv4)
        return ca === undefined ? { stop: () => {} } : new ApiRelay({ address, server, log }).start(redirects);
      const certificate = { client, name, folder, addresses, clock, random: systemRandom, log };
      // On AWS the server's name is not the service's, and its address has a path. Pods send tokens, not signatures.
      const forTokens = server.replace(/\/iam\/*$/, "");
      return new ApiProxy({ address, server: forTokens, ca, certificate, log }).start(redirects);
    },
  };
}
