/** A real engine for the driver's two tables, for tests of the layers above the driver. Not part of any bundle. */

export { dynoxidePath, emulator, makeTables, startDynoxide, tableInput } from "./dynoxide.ts";
export { type Acknowledged, startWriter, type WriterOrder } from "./writers.ts";
