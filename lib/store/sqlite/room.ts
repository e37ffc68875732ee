import type { DatabaseSync } from "node:sqlite";
import { type ApiError, internalError } from "#base";
import type { Entry, Write } from "#store";

/** Disk space that is reserved until the disk is full, such as a file of that size. */
export interface Reserve {
  /** More than the largest write-ahead log, so that it can be checkpointed on a full disk. */
  bytes: number;
  /** The free bytes of the disk. */
  free(): number;
  /** Frees the reserved bytes. */
  release(): void;
  /**
   * Reserves the bytes again where the disk has room, besides `spare` bytes within the database. Returns whether it
   * did.
   */
  restore(spare: number): boolean;
}

export interface RoomOptions {
  path: string;
  reserve: Reserve;
  /** Whether the disk is full at the start. */
  full: boolean;
  /** Called when the disk becomes full, and when there is room again. */
  changed(full: boolean): void;
}

/** SQLite's primary code for a full disk. */
const sqliteFull = 13;
/** By how many bytes an object may grow on a full disk: for a deletion time, or a last status. */
const slackBytes = 4096;

export const isFullError = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && Number(error.errcode) % 256 === sqliteFull;

/**
 * The handling of a full disk: the reserve is freed, and from then on only deletions and writes that lead to them are
 * accepted, until there is room for the reserve again.
 */
export class Room {
  readonly #database: DatabaseSync;
  readonly #options: RoomOptions;
  #full: boolean;

  constructor(database: DatabaseSync, options: RoomOptions) {
    this.#database = database;
    this.#options = options;
    this.#full = options.full;
  }

  get full(): boolean {
    return this.#full;
  }

  /**
   * The disk has no room for a write. The write-ahead log is checkpointed at once, before other processes use the freed
   * bytes.
   */
  fill(): void {
    this.#options.reserve.release();
    this.#checkpoint();
    if (this.#full) return;
    this.#full = true;
    this.#options.changed(true);
  }

  /** After space was freed: reserves it again where that is possible. */
  look(): void {
    if (!this.#full) return;
    this.#checkpoint();
    const { reserve } = this.#options;
    if (!reserve.restore(this.#sizes().spare) && !(this.#shrink() && reserve.restore(this.#sizes().spare))) return;
    this.#full = false;
    this.#options.changed(false);
  }

  /** Shrinks a file with little content, where the disk has room for a copy of that. */
  #shrink(): boolean {
    const { live, spare } = this.#sizes();
    if (spare < live * 3 || this.#options.reserve.free() < live * 3) return false;
    try {
      this.#database.exec("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
      return true;
    } catch (error) {
      if (!isFullError(error)) throw error;
      return false;
    }
  }

  /** The error of a write that is refused on a full disk; undefined for one that is accepted. */
  refusal(write: Write, previous: Entry | undefined): ApiError | undefined {
    if (!this.#full || write.type === "delete") return undefined;
    if (write.type === "update" && previous) {
      const grown = write.body(previous.revision + 1).length - previous.body.length;
      if (grown <= slackBytes) return undefined;
    }
    return internalError(
      `the disk that holds ${this.#options.path} is full: until space is free, only deletions are accepted`,
    );
  }

  /** Bytes of pages in the file that are in use, and of those that are not. */
  #sizes(): { live: number; spare: number } {
    const number = (pragma: string) =>
      Number(Object.values(this.#database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0] ?? 0);
    const size = number("page_size");
    const spare = number("freelist_count") * size;
    return { live: number("page_count") * size - spare, spare };
  }

  /** The log file keeps its length: later writes need no more room. */
  #checkpoint(): void {
    try {
      this.#database.exec("PRAGMA wal_checkpoint(RESTART)");
    } catch (error) {
      if (!isFullError(error)) throw error;
    }
  }
}
