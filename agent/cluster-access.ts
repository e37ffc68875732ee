import type { Runtime } from "#agent/runtime";
import { type Log, systemClock, systemRandom } from "#base";
import { type HttpClient, httpClient } from "#client";
import type { Running } from "./components.ts";
import type { AgentConfig } from "./config.ts";
import type { KubeletOptions } from "./kubelet.ts";

/** How this process reaches its cluster. */
export interface ClusterAccess extends Pick<KubeletOptions, "alive" | "relayed" | "gateway" | "registryCredentials"> {
  /** One for each node. */
  clients: HttpClient[];
  /** Sends containers' logs to the cluster's log store; absent: they stay on the node. */
  shipLogs?: ((runtime: Runtime, folder: string) => Running) | undefined;
  close(): Promise<void>;
}

/** A client for each node; on AWS also the link that replaces the lease, and all that depends on it. */
export async function accessCluster(config: AgentConfig, log: Log): Promise<ClusterAccess> {
  const { region, link } = config;
  if (config.sigv4 && region !== undefined && link !== undefined) return accessAws({ ...config, region, link }, log);
  const ca = config.ca === undefined ? {} : { ca: config.ca };
  const clients = config.nodes.map(({ certificate }) =>
    httpClient({ server: config.server, ...ca, ...(certificate ? { certificate } : {}), userAgent: "skiff-agent" }),
  );
  const close = async () => {
    for (const client of clients) client.close();
  };
  return { clients, close };
}

async function accessAws(config: AgentConfig & { region: string; link: string }, log: Log): Promise<ClusterAccess> {
  const { server, ca, region, link, gateway, podLogGroup: group } = config;
  // Only agents on AWS load this code.
  const { shipLogs, startAws } = await import("#agent/aws");
  const aws = startAws({ server, region, link, ca, gateway, clock: systemClock, random: systemRandom, log });
  const ship = (runtime: Runtime, folder: string, to: string) =>
    shipLogs({ runtime, region, group: to, folder, clock: systemClock, log });
  return {
    clients: [aws.client],
    alive: aws.alive,
    relayed: aws.serve,
    gateway: aws.gateway,
    registryCredentials: aws.registryCredentials,
    shipLogs: group === undefined ? undefined : (runtime, folder) => ship(runtime, folder, group),
    close: aws.stop,
  };
}
