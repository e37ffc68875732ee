/**
 * The `skiff` command: parses the command line into the options of one command. The commands are in the folders below
 * and in the hosts; each is loaded when it runs.
 */
export { type Commands, parseCommand } from "./program.ts";
export { createProgress } from "./progress.ts";
