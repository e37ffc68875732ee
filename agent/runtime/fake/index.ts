/**
 * A runtime without containers, for tests and for nodes of any size: sandboxes and containers are records in memory, a
 * few programs (a small shell, echo, cat, sleep, tar ...) run inside this process, and an exec of any other program is
 * refused by name. It starts no process and opens no socket.
 */
export { behaviour } from "./container.ts";
export { type FakeOptions, type FakeRuntime, fakeRuntime } from "./runtime.ts";
