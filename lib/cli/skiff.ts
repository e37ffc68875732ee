#!/usr/bin/env node
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { compileCache } from "./compile-cache.ts";

// Sources run unbuilt: what was compiled once is kept, and later starts are faster and smaller for it. Everything else
// is imported after this. A folder that cannot be written only means that nothing is kept.
enableCompileCache(compileCache);

/** The `skiff` command on this machine. Each command is loaded when it is asked for. */
const embedded = () => import("#hosts/embedded");
const agent = fileURLToPath(import.meta.resolve("#agent/main"));

try {
  const { createProgress, parseCommand } = await import("#cli");
  const progress = createProgress(process.stderr);
  process.exitCode = await parseCommand(
    process.argv.slice(2),
    {
      up: async (options) => (await embedded()).up(options, agent, progress),
      down: async (options) => (await embedded()).down(options, progress),
      status: async (options) => (await embedded()).status(options),
      kubeconfig: async (options) => (await embedded()).kubeconfig(options),
      proxy: async (options) => (await import("#cli/proxy")).proxy(options),
      cost: async (options) => (await import("#cli/cost")).cost(options, process.stdout),
      doctor: async (options) => (await import("#cli/doctor")).doctor(options, process.stdout),
      destroy: async (options) => (await import("#cli/destroy")).destroy(options, process.stdout),
      restore: async (options) => (await import("#cli/restore")).restore(options, process.stdout),
    },
    homedir(),
  );
} catch (error) {
  process.stderr.write(`skiff: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
