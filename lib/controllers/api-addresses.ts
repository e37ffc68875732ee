import { services } from "#api";
import { ignoreNotFound } from "#base";
import type { Client } from "#client";

/** The addresses of the service by which pods reach the API; empty while it has none. */
export async function apiAddresses(client: Client): Promise<readonly string[]> {
  const service = await ignoreNotFound(client.get(services, { namespace: "default", name: "kubernetes" }));
  const { clusterIP, clusterIPs } = service?.spec ?? {};
  return clusterIPs ?? (clusterIP ? [clusterIP] : []);
}
