import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import type { Listener } from "#agent/network";

/** The API's service, as clients in pods find it. */
export const apiService = { namespace: "default", name: "kubernetes" };

/** The port on which the node listens for pods when it is free. */
const usualPort = 6443;
/** After how long without a packet peers are probed, in milliseconds. */
export const keepAliveMilliseconds = 30_000;
/** Connections at a time: pods that open more must not take the agent's file descriptors. */
export const maxConnections = 4096;

/** Listens on an address; on any port where the usual one is in use. Rejects when the address is not available. */
export async function listenOn(server: Server, address: string): Promise<Listener> {
  try {
    server.listen(usualPort, address);
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    server.listen(0, address);
    await once(server, "listening");
  }
  return { address, port: (server.address() as AddressInfo).port };
}
