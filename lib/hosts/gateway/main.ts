import { messageOf } from "#base";
import { readEnvironment } from "./environment.ts";
import { startGateway } from "./gateway.ts";
import { lineLog } from "./log.ts";

/* The gateway as a process. It runs until it is told to stop (SIGTERM, SIGINT); what it is told stands in its environment. */

const log = lineLog((line) => process.stdout.write(line));
const stopping = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => stopping.abort());
try {
  const gateway = await startGateway(readEnvironment(process.env), log);
  log.info("the gateway serves", { port: gateway.port, seconds: Number(process.uptime().toFixed(2)) });
  if (!stopping.signal.aborted) {
    await new Promise((resolve) => stopping.signal.addEventListener("abort", resolve, { once: true }));
  }
  await gateway.stop();
  // Sockets of the services that are kept for later must not hold the process.
  process.exit(0);
} catch (error) {
  log.error("the gateway cannot go on", { error: messageOf(error) });
  process.exit(1);
}
