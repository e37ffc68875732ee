import { ServiceList } from "#agent";
import { openWriter, Redirects, ServiceProxy } from "#agent/network";
import { jsonLog, systemClock } from "#base";
import { connect } from "../e2e/client.ts";

/*
 * The part of an agent that puts services into force, as a process of its own: `node --expose-gc
 * test/bench/proxy-server.ts DATA-DIR TABLE`. Prints its resident memory in bytes as it is with the services and without
 * their rules, then the log, and follows the services until it is ended.
 */

const [, , dataDir = "", table = ""] = process.argv;
const client = connect(dataDir);
const { signal } = new AbortController();
const log = jsonLog({ verbose: true, clock: systemClock, write: (line) => process.stdout.write(line) });
const services = new ServiceList({ client, log, withSlices: true, signal });
await services.start();
await new Promise((resolve) => setTimeout(resolve, 500));
(globalThis as { gc?: () => void }).gc?.();
process.stdout.write(`${JSON.stringify({ resident: process.memoryUsage().rss })}\n`);
const writer = await openWriter({
  mode: "nftables",
  name: table,
  podCidr: "10.244.0.0/24",
  serviceCidr: "10.96.0.0/16",
  log,
});
const proxy = new ServiceProxy({
  node: { name: "here", zone: "" },
  family: "IPv4",
  redirects: new Redirects(),
  source: services,
  writer: writer!,
  clock: systemClock,
  log,
  warn: () => {},
});
await proxy.start();
