/**
 * The store in one SQLite file, for the cluster on one machine. An acknowledged commit is on the disk. It locks no
 * folder (the host does), serves one process, and opens no file of another application.
 */
export type { Reserve } from "./room.ts";
export { type SqliteOptions, sqliteStore } from "./sqlite.ts";
