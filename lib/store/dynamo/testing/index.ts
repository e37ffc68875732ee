/** A real engine for the driver's two tables, for tests of what stands above the driver. Nothing here ships. */

export { dynoxidePath, emulator, makeTables, startDynoxide, tableInput } from "./dynoxide.ts";
export { type Acknowledged, startWriter, type WriterOrder } from "./writers.ts";
