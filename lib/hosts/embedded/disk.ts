import { closeSync, existsSync, openSync, renameSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Log, messageOf, silentLog } from "#base";
import type { SqliteOptions } from "#store/sqlite";
import type { DataFolder } from "./data-folder.ts";

const mebi = 2 ** 20;
/** Bytes of the reserve, or its share of a small disk. */
const largest = 32 * mebi;
const share = 10;
const smallest = 2 * mebi;
/** Bytes below which nothing can be started: certificates, logs and other files are written too. */
const leastFree = 4 * mebi;
/** Bytes left free beside a reserve that is allocated again. */
const beside = 2 * mebi;
const block = Buffer.alloc(mebi);

/** The disk of a data folder: its reserve, and whether it is full. */
export class Disk {
  readonly #folder: DataFolder;
  readonly #path: string;
  readonly #bytes: number;
  #full: boolean;
  #log: Log = silentLog;

  /**
   * Reserves a part of the disk for deletions. On a full disk the reserve is released at once, so that the cluster can
   * start and objects can be deleted.
   */
  constructor(folder: DataFolder) {
    this.#folder = folder;
    this.#path = join(folder.root, "reserve");
    const { blocks, bsize } = statfsSync(folder.root);
    this.#bytes = Math.max(smallest, Math.min(largest, Math.floor((blocks * bsize) / share)));
    const free = this.#free();
    this.#full = free < leastFree || !this.#take(free >= this.#bytes * 2 ? this.#bytes : free / 2);
    if (this.#full) this.#release();
  }

  get full(): boolean {
    return this.#full;
  }

  /** The error while it is full. */
  get trouble(): string {
    return `the disk that holds the data folder ${this.#folder.root} is full: until space is free, only deletions are accepted`;
  }

  /** The log of later reports. */
  reportTo(log: Log): void {
    this.#log = log;
    if (this.#full) log.error(this.trouble);
  }

  /** As the store uses it. */
  room(): NonNullable<SqliteOptions["room"]> {
    return {
      full: this.#full,
      reserve: {
        bytes: this.#bytes,
        free: () => this.#free(),
        release: () => this.#release(),
        // A smaller one is enough when the database has free pages: a quarter is the most that its log takes.
        restore: (spare) => {
          const free = this.#free();
          if (free < this.#bytes / 4 + beside || free + spare < this.#bytes * 2) return false;
          return this.#take(Math.min(this.#bytes, free - beside));
        },
      },
      changed: (full) => {
        this.#full = full;
        if (full) this.#log.error(this.trouble);
        else this.#log.info("the disk of the data folder has free space again", { folder: this.#folder.root });
      },
    };
  }

  #free(): number {
    const { bavail, bsize } = statfsSync(this.#folder.root);
    return bavail * bsize;
  }

  #release(): void {
    rmSync(this.#path, { force: true });
  }

  #take(bytes: number): boolean {
    if (existsSync(this.#path)) return true;
    try {
      // A death in between leaves no half of it.
      writeZeros(`${this.#path}.new`, bytes);
      renameSync(`${this.#path}.new`, this.#path);
      return true;
    } catch {
      rmSync(`${this.#path}.new`, { force: true });
      return false;
    }
  }
}

/** Allocated blocks: a sparse file would reserve nothing. */
function writeZeros(path: string, bytes: number): void {
  const file = openSync(path, "w", 0o600);
  try {
    for (let left = bytes; left > 0; left -= block.length)
      writeSync(file, block, 0, Math.min(Math.ceil(left), block.length));
  } finally {
    closeSync(file);
  }
}

/** Whether an error means that a disk, or the user's quota of it, is full. */
export function isFullDisk(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { code, errcode } = each as NodeJS.ErrnoException & { errcode?: number };
    if (code === "ENOSPC" || code === "EDQUOT" || (errcode !== undefined && errcode % 256 === 13)) return true;
    if (/ENOSPC|database or disk is full/.test(messageOf(each))) return true;
  }
  return false;
}
