/**
 * The store in one SQLite file, for the cluster on one machine. A commit that is acknowledged is on the disk. It
 * takes no lock on its folder (the host does), serves one process, and never opens a file that is not its own.
 */
export type { Reserve } from "./room.ts";
export { type SqliteOptions, sqliteStore } from "./sqlite.ts";
