import { DatabaseSync } from "node:sqlite";
import { messageOf } from "#base";

/** "Skif" in ASCII: the application id of our files. */
const applicationId = 0x536b6966;
/** The version of the tables. A file of an older version is migrated, one of a newer version is refused. */
const schemaVersion = 1;
/** How long a write waits for another writing process, in milliseconds; it blocks the event loop. */
const busyMilliseconds = 2000;

/**
 * Opens or creates the file; `exclusive` locks out other processes while it is open. Throws an Error that names the
 * file and the fault.
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
  // Two processes may create the same file concurrently: the second finds the tables.
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

/** Checkpoints the write-ahead log before it exceeds this many bytes, where that is less than the default. */
export function limitLog(database: DatabaseSync, bytes: number): void {
  const pages = Math.max(100, Math.min(4000, Math.floor(bytes / 4096)));
  database.exec(`PRAGMA wal_autocheckpoint = ${pages}`);
}
