import { jsonLog, messageOf, systemClock } from "#base";
import { readEnvironment } from "./environment.ts";
import { startGateway } from "./gateway.ts";

/* The gateway as a process, configured by its environment. It runs until SIGTERM or SIGINT. */

// In the form of the functions' lines, so that one query reads both.
const log = jsonLog({
  write: (line) => process.stdout.write(line),
  clock: systemClock,
  envelope: (level, timestamp) => ({ level: level.toUpperCase(), timestamp, service: "gateway" }),
});
const stopping = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => stopping.abort());
try {
  const gateway = await startGateway(readEnvironment(process.env), log);
  log.info("the gateway serves", { port: gateway.port, seconds: Number(process.uptime().toFixed(2)) });
  if (!stopping.signal.aborted) {
    await new Promise((resolve) => stopping.signal.addEventListener("abort", resolve, { once: true }));
  }
  await gateway.stop();
  // Idle connections of the services' clients must not keep the process alive.
  process.exit(0);
} catch (error) {
  log.error("the gateway has failed", { error: messageOf(error) });
  process.exit(1);
}
