/**
 * The `skiff` command: words and flags to options, options to the command that they mean. The commands lie below it or in
 * the hosts; each is loaded when it is asked for.
 */
export { type Commands, parseCommand } from "./program.ts";
export { createProgress } from "./progress.ts";
