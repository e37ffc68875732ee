import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { makeFoldersSync } from "#agent/volumes";
import { messageOf } from "#base";

/** An error that the user can correct: shown as one line, without a stack. */
export class Refusal extends Error {
  constructor(message: string) {
    super(message);
    this.name = "Refusal";
  }
}

/** The folder with all data of a cluster. */
export interface DataFolder {
  root: string;
  store: string;
  pki: string;
  kubeconfig: string;
  agents: string;
  logs: string;
  /** The state that a running cluster publishes for `status` and `down`. */
  running: string;
}

export function dataFolder(path: string): DataFolder {
  const root = resolve(path);
  return {
    root,
    store: join(root, "store.db"),
    pki: join(root, "pki"),
    kubeconfig: join(root, "kubeconfig"),
    agents: join(root, "agents"),
    logs: join(root, "logs"),
    running: join(root, "running.json"),
  };
}

/** The state that a running cluster publishes. */
export interface Running {
  pid: number;
  agent?: number;
  server: string;
  runtime: string;
  nodes: string[];
  since: string;
}

export function readRunning(folder: DataFolder): Running | undefined {
  try {
    return JSON.parse(readFileSync(folder.running, "utf8")) as Running;
  } catch {
    return undefined;
  }
}

/** Common names of failures: of files by their codes, of SQLite by its primary and extended codes. */
const troubles: Record<string, string> = {
  ENOSPC: "the disk that holds it is full",
  EDQUOT: "the disk's quota is used up",
  EROFS: "its file system is read-only",
  EACCES: "it may not be written by this user",
  EPERM: "its file system does not let it be written",
  ENOTDIR: "it, or a part of its path, is a file",
  EEXIST: "it, or a part of its path, is a file",
  ENOENT: "its file system cannot hold it",
  8: "its file system is read-only",
  13: "the disk that holds it is full",
  14: "its file system cannot hold it",
  // Of disk I/O: SHMLOCK, LOCK, RDLOCK, UNLOCK, CHECKRESERVEDLOCK, and the protocol of locks.
  ...Object.fromEntries([5130, 3850, 2314, 2058, 3594, 15].map((code) => [code, "its file system has no file locks"])),
};

/** Why a data folder cannot be used, in one line that names it. */
export function unusable({ root }: DataFolder, error: unknown): Refusal {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { code = "", errcode = 0 } = each as NodeJS.ErrnoException & { errcode?: number };
    const known = troubles[code] ?? troubles[errcode] ?? troubles[errcode % 256];
    if (known) return new Refusal(`the data folder ${root} cannot be used: ${known} (${messageOf(each)})`);
  }
  return new Refusal(`the data folder ${root} cannot be used: ${messageOf(error)}`);
}

export interface Lock {
  /** Publishes the running cluster. */
  tell(running: Running): void;
  release(): void;
}

/**
 * Locks a data folder for this process, creating it if necessary. The lock is the kernel's, on a file that SQLite holds
 * open: it ends with the process. Throws Refusal when another process has the lock or the folder cannot be written.
 */
export function lockFolder(folder: DataFolder): Lock {
  try {
    for (const path of [folder.root, folder.pki, folder.agents, folder.logs]) makeFoldersSync(path, 0o700);
    chmodSync(folder.root, 0o700);
  } catch (error) {
    throw unusable(folder, error);
  }
  const lock = hold(folder);
  return {
    tell(running) {
      // By rename: a concurrent reader sees the old state or the new one.
      writeFileSync(`${folder.running}.new`, `${JSON.stringify(running, null, 2)}\n`, { mode: 0o600 });
      renameSync(`${folder.running}.new`, folder.running);
    },
    release() {
      rmSync(folder.running, { force: true });
      lock.close();
    },
  };
}

function hold(folder: DataFolder): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(folder.root, "lock.db"), { timeout: 0 });
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database?.close();
    if (!/locked|busy/i.test(messageOf(error))) {
      throw unusable(folder, error);
    }
    const other = readRunning(folder);
    const who = other ? ` (process ${other.pid}, ${other.server})` : "";
    throw new Refusal(
      `another cluster is running in ${folder.root}${who}: use another --data-dir, or stop it with skiff down`,
    );
  }
}

/** Whether a process exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
