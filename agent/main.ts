import { parseArgs } from "node:util";
import { jsonLog, messageOf, sleep, systemClock } from "#base";
import { runAgent } from "./agent.ts";
import { readConfig } from "./config.ts";

/*
 * The agent as a process: `node agent/main.ts --config FILE`. It runs until SIGTERM, SIGINT or SIGHUP, or
 * until its parent has ended; containers run on, and the next agent adopts them.
 */

// The output may be a file on a full disk: lines that cannot be written are lost, and the agent keeps running.
for (const output of [process.stdout, process.stderr]) output.on("error", () => {});

/** How often the parent process is checked. */
const parentMilliseconds = 1000;

/** Stops when the process that started this one has ended. */
async function watchParent(parent: number, stop: AbortController): Promise<void> {
  while (!stop.signal.aborted) {
    if (process.ppid !== parent) stop.abort();
    await sleep(systemClock, parentMilliseconds, stop.signal);
  }
}

const { values } = parseArgs({ options: { config: { type: "string" } } });
if (values.config === undefined) {
  process.stderr.write("usage: node agent/main.ts --config FILE\n");
  process.exit(2);
}
const config = await readConfig(values.config).catch((error: unknown) => {
  process.stderr.write(`skiff: ${messageOf(error)}\n`);
  process.exit(2);
});
const log = jsonLog({
  write: (line) => process.stdout.write(line),
  clock: systemClock,
  verbose: config.verbose,
});
// A rejection that no code handles does not end the agent.
process.on("unhandledRejection", (error) => {
  const stack = error instanceof Error ? error.stack : "";
  log.error("a fault of the agent was contained", { error: messageOf(error), stack });
});
const stop = new AbortController();
/** The longest time for an orderly stop: a step of the start may not react to the signal. */
const stopMilliseconds = 9000;
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.once(signal, () => stop.abort());
stop.signal.addEventListener("abort", () => systemClock.timer(stopMilliseconds, () => process.exit(1)), { once: true });
if (config.parent !== undefined) void watchParent(config.parent, stop);
try {
  await runAgent(config, log, stop.signal);
  // Sockets that wait for a peer must not keep the process running.
  process.exit(0);
} catch (error) {
  log.error("the agent has failed", { error: messageOf(error), stack: error instanceof Error ? error.stack : "" });
  process.exit(1);
}
