import { DatabaseSync } from "node:sqlite";
import { messageOf } from "#base";

/** "Skif" in ASCII: what tells our files from anybody else's. */
const applicationId = 0x536b6966;
/** Raised with every change of the tables; a file of an older version is migrated, one of a newer is refused. */
const schemaVersion = 1;
/** How long a write waits for another process that writes, in milliseconds; the event loop stands still for it. */
const busyMilliseconds = 2000;

/**
 * Opens the file, or makes it; `exclusive` keeps everybody else out for as long as it is open. Throws an Error that
 * names the file and says what is wrong with it.
 */
export function openFile(path: string, exclusive: boolean): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: busyMilliseconds, enableForeignKeyConstraints: false });
    if (exclusive) database.exec("PRAGMA locking_mode = EXCLUSIVE");
    prepareFile(database);
    return database;
  } catch (error) {
    database?.close();
    throw new Error(`cannot open the store ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function prepareFile(database: DatabaseSync): void {
  const number = (pragma: string) => Number(Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]);
  const version = number("user_version");
  const owner = number("application_id");
  const isEmpty = Number(database.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"]) === 0;
  if (!isEmpty && owner !== applicationId) throw new Error("it is a database of another program");
  if (version > schemaVersion)
    throw new Error(`it was written by a newer version (schema ${version}; this one knows ${schemaVersion})`);
  const mode = database.prepare("PRAGMA journal_mode = WAL").get()?.["journal_mode"];
  if (mode !== "wal" && mode !== "memory") throw new Error(`its file system allows no write-ahead log (got ${mode})`);
  // The log is moved into the database in larger pieces than SQLite's 1,000 pages: each costs two waits for the disk.
  database.exec("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -8192");
  if (version === schemaVersion) return;
  // Two processes may make the same file at once: the second finds everything there.
  database.exec(`
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS types (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      counter INTEGER NOT NULL,
      floor INTEGER NOT NULL
    ) STRICT;
    PRAGMA application_id = ${applicationId};
    PRAGMA user_version = ${schemaVersion};
    COMMIT;
  `);
}

/** Moves the write-ahead log into the database before it grows beyond this many bytes, where that is less than usual. */
export function limitLog(database: DatabaseSync, bytes: number): void {
  const pages = Math.max(100, Math.min(4000, Math.floor(bytes / 4096)));
  database.exec(`PRAGMA wal_autocheckpoint = ${pages}`);
}
