/**
 * Container logs: the CRI's line format, reading files that grow and rotate, and the options of `kubectl logs` (tail,
 * since, limit, timestamps) for any source of entries. It knows no runtime and no container.
 */
export { type LogEntry, parseLogLine } from "./line.ts";
export { type LogFile, readLogFile } from "./read.ts";
export { renderLogs } from "./render.ts";
export { rotateLog } from "./rotate.ts";
