import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLog } from "#base";
import { HealthChecks } from "./health-checks.ts";
import { changesBetween, type ProxyPort, proxyPortsOf } from "./model.ts";
import { service, slice } from "./testing/objects.ts";

const address = "127.0.0.1";
const listening = async (): Promise<Server> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return server;
};
const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const closed = (server: Server) => new Promise((resolve) => server.close(resolve));

let isHealthy: boolean;
let failures: string[];
let checks: HealthChecks;
beforeEach(() => {
  isHealthy = true;
  failures = [];
  const failed = (name: string, message: string) => failures.push(`${name}: ${message}`);
  checks = new HealthChecks({ log: silentLog, nodeName: "here", address, failed, isHealthy: () => isHealthy });
});
afterEach(() => checks.stop());

const balanced = (healthCheckNodePort: number, endpoints: string[]): ProxyPort[] => {
  const spec = { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort };
  return proxyPortsOf(service(spec), [slice(endpoints)], { name: "here", zone: "" }, { family: "IPv4" });
};
const get = async (port: number) => {
  const answer = await fetch(`http://${address}:${port}/`);
  const weight = answer.headers.get("x-load-balancing-endpoint-weight");
  return { status: answer.status, weight, body: await answer.json() };
};

// Status, header and body: hcHandler.ServeHTTP of pkg/proxy/healthcheck, v1.37.2.
test("answers with the number of ready local endpoints", async () => {
  const free = await listening();
  const port = portOf(free);
  await closed(free);
  const two = balanced(port, ["10.0.0.1@here", "10.0.0.2@here", "10.0.0.3@there", "10.0.0.4@here r"]);
  await checks.sync(changesBetween([], two));
  const body = { service: { namespace: "default", name: "web" }, localEndpoints: 2, serviceProxyHealthy: true };
  expect(await get(port)).toEqual({ status: 200, weight: "2", body });
  isHealthy = false;
  expect(await get(port)).toEqual({ status: 503, weight: "2", body: { ...body, serviceProxyHealthy: false } });
  isHealthy = true;
  const none = balanced(port, ["10.0.0.3@there"]);
  await checks.sync(changesBetween(two, none));
  expect(await get(port)).toEqual({ status: 503, weight: "0", body: { ...body, localEndpoints: 0 } });
  await checks.sync(changesBetween(none, []));
  await expect(get(port)).rejects.toThrow("fetch failed");
});

test("an occupied port is reported, and opened once it is free", async () => {
  const other = await listening();
  const port = portOf(other);
  const ports = balanced(port, ["10.0.0.1@here"]);
  await checks.sync(changesBetween([], ports));
  expect(failures).toEqual([
    `default/web: node here failed to start healthcheck "default/web" on port ${port}: listen EADDRINUSE: address already in use ${address}:${port}`,
  ]);
  // It is tried again at each sync.
  await checks.sync([]);
  expect(failures).toHaveLength(1);
  await closed(other);
  await checks.sync([]);
  expect((await get(port)).status).toBe(200);
});
