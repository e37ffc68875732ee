/** YAML in both directions: a chunk of its own, since most requests need none of it. */
export { printYaml } from "./yaml-print.ts";
export { type ParsedYaml, parseYaml } from "./yaml-read.ts";
