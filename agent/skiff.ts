#!/usr/bin/env node
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { messageOf } from "#base";
import { parseCommand } from "#cli";

/** The `skiff` command on this machine. Each command is loaded when it is asked for. */
const embedded = () => import("#agent/embedded");
const agent = fileURLToPath(new URL("./main.ts", import.meta.url));

try {
  process.exitCode = await parseCommand(
    process.argv.slice(2),
    {
      up: async (options) => (await embedded()).up(options, agent),
      down: async (options) => (await embedded()).down(options),
      status: async (options) => (await embedded()).status(options),
      kubeconfig: async (options) => (await embedded()).kubeconfig(options),
    },
    homedir(),
  );
} catch (error) {
  process.stderr.write(`skiff: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
