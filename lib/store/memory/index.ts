/**
 * The store in memory, for tests and throw-away clusters: the port's rules and nothing else, lost with the process.
 * It is never tuned for size: the log grows until it is compacted.
 */
export { type MemoryOptions, memoryStore } from "./memory.ts";
