#!/usr/bin/env node
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";
import { compileCache } from "./compile-cache.ts";

// Sources run unbuilt: with the compile cache, later starts are faster and smaller. Everything else is imported after
// this. If the folder cannot be written, nothing is cached.
enableCompileCache(compileCache);

/** The `skiff` command on this machine. Each command is loaded when it runs. */
const embedded = () => import("#hosts/embedded");
const agent = fileURLToPath(import.meta.resolve("#agent/main"));

try {
  const { createProgress, parseCommand } = await import("#cli");
  const progress = createProgress(process.stderr);
  process.exitCode = await parseCommand(
    process.argv.slice(2),
    {
      up: async (options) => (await embedded()).up(options, agent, progress),
      join: async (options) => (await embedded()).join(options, agent, progress),
      down: async (options) => (await embedded()).down(options, progress),
      status: async (options) => (await embedded()).status(options),
      kubeconfig: async (options) => (await embedded()).kubeconfig(options),
      createToken: async (options) => (await import("#cli/token")).createToken(options, process.stdout),
      listTokens: async (options) => (await import("#cli/token")).listTokens(options, process.stdout),
      deleteTokens: async (options) => (await import("#cli/token")).deleteTokens(options, process.stdout),
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
