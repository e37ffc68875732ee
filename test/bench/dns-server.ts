import { ClusterDns, ServiceList } from "#agent";
import { Redirects } from "#agent/network";
import { silentLog, systemClock, systemRandom } from "#base";
import { connect } from "../e2e/client.ts";

/*
 * The part of an agent that answers DNS, as a process of its own: `node --expose-gc test/bench/dns-server.ts DATA-DIR
 * ADDRESS PORT RESOLV-CONF`. Prints its resident memory in bytes as it is with the services and without DNS, and answers
 * until it is ended.
 */

const [, , dataDir = "", address = "", port = "", resolvConf] = process.argv;
const client = connect(dataDir);
const { signal } = new AbortController();
const services = new ServiceList({ client, log: silentLog, withSlices: true, signal });
await services.start();
await new Promise((resolve) => setTimeout(resolve, 500));
(globalThis as { gc?: () => void }).gc?.();
const resident = process.memoryUsage().rss;
const dns = new ClusterDns({
  client,
  services,
  address,
  clock: systemClock,
  random: systemRandom,
  log: silentLog,
  signal,
  redirects: new Redirects(),
  port: Number(port),
  resolvConf,
});
await dns.start();
process.stdout.write(`${JSON.stringify({ resident })}\n`);
