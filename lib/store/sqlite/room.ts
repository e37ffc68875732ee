import type { DatabaseSync } from "node:sqlite";
import { type ApiError, internalError } from "#base";
import type { Entry, Write } from "#store";

/** Bytes of the store's disk that are kept free of others for as long as nothing is amiss, as in a file of that size. */
export interface Reserve {
  /** More than the write-ahead log ever takes, so that it can be moved into the database on a full disk. */
  bytes: number;
  /** What the disk has left. */
  free(): number;
  /** Gives the bytes back to the disk. */
  release(): void;
  /** Takes them again where there is room: on the disk, and `spare` bytes within the database. Says whether it did. */
  restore(spare: number): boolean;
}

export interface RoomOptions {
  path: string;
  reserve: Reserve;
  /** Whether the disk is full at the start already. */
  full: boolean;
  /** Hears when the disk has become full, and when there is room again. */
  changed(full: boolean): void;
}

/** SQLite's primary code for a full disk. */
const sqliteFull = 13;
/** How much larger an object may get on a full disk: a mark of its deletion, or the last status of what ends. */
const slackBytes = 4096;

export const isFullError = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && Number(error.errcode) % 256 === sqliteFull;

/**
 * What is done about a full disk: the reserve is given up, and from then on only what makes room is written, deletions
 * and what leads to them, until there is room for the reserve again.
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

  /** The disk has no room for a write. The write-ahead log moves into the database at once, before others take the bytes. */
  fill(): void {
    this.#options.reserve.release();
    this.#checkpoint();
    if (this.#full) return;
    this.#full = true;
    this.#options.changed(true);
  }

  /** After space was freed: takes the reserve again where that is possible. */
  look(): void {
    if (!this.#full) return;
    this.#checkpoint();
    const { reserve } = this.#options;
    if (!reserve.restore(this.#sizes().spare) && !(this.#shrink() && reserve.restore(this.#sizes().spare))) return;
    this.#full = false;
    this.#options.changed(false);
  }

  /** Where little of the file is in use any more, and the disk has room for a copy of that, the rest goes back to it. */
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

  /** Why a write is refused on a full disk; undefined where it is not. */
  refusal(write: Write, previous: Entry | undefined): ApiError | undefined {
    if (!this.#full || write.type === "delete") return undefined;
    if (write.type === "update" && previous) {
      const grown = write.body(previous.revision + 1).length - previous.body.length;
      if (grown <= slackBytes) return undefined;
    }
    return internalError(
      `the disk that holds ${this.#options.path} is full: until there is room, only deletions are taken`,
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

  /** The log keeps its length on the disk: later writes need no room of their own. */
  #checkpoint(): void {
    try {
      this.#database.exec("PRAGMA wal_checkpoint(RESTART)");
    } catch (error) {
      if (!isFullError(error)) throw error;
    }
  }
}
