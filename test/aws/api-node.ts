import { ApiProxy } from "#agent/api-relay";
import { startAws } from "#agent/aws";
import { services } from "#api";
import { type Log, messageOf, silentLog, systemClock, systemRandom } from "#base";

/*
 * The API inside the pods of a node, as the agent runs it, as a process of its own: on the loopback address instead of
 * the node's address in the pod network, since the tests' nodes have none. It writes the port on which it listens.
 */

/** Its argument in JSON. */
export interface ApiNode {
  /** With the path of signed requests. */
  server: string;
  link: string;
  ca: string;
  name: string;
  folder: string;
}

const { server, link, ca, name, folder } = JSON.parse(process.argv[2]!) as ApiNode;
const [clock, random] = [systemClock, systemRandom];
const warn = (message: string, fields?: object) => process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);
const log: Log = { ...silentLog, warn };
const { client } = startAws({ server, region: "eu-west-1", link, ca, clock, random, log });
const { spec } = await client.get(services, { namespace: "default", name: "kubernetes" });
const proxy = new ApiProxy({
  address: "127.0.0.1",
  server: server.replace(/\/iam$/, ""),
  ca,
  certificate: { client, name, folder, addresses: () => spec?.clusterIPs ?? [], clock, random, log },
  log,
});
const running = await proxy.start();
process.stdout.write(`${proxy.listening.port}\n`);
process.on("unhandledRejection", (error) => warn("a rejection was not handled", { error: messageOf(error) }));
process.once("SIGTERM", () => void running.stop().then(() => process.exit(0)));
