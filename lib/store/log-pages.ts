import type { Change, Store } from "./port.ts";

/** Changes that follow each other without a gap up to `through`. */
export interface LogPage {
  changes: Change[];
  through: number;
}

/** The approximate size of a page in bytes of objects; a page has one change at least. */
export const pageBytes = 64 * 1024;
/** The number of changes in a page before the size of this log's objects is known, and the most. */
const [firstChanges, mostChanges] = [16, 512];
/** The number of cached pages: about 1 MiB of a log. */
const mostPages = 16;

/** The size of a change, in bytes. */
export const sizeOf = ({ entry, previous }: Change): number => entry.body.length + (previous?.body.length ?? 0);

/** The page that begins at an index of a run of changes, which ends at `through`. */
export function pageAt(changes: readonly Change[], start: number, through: number): LogPage {
  let end = start;
  for (let bytes = 0; end < changes.length; end++) {
    bytes += sizeOf(changes[end]!);
    if (bytes > pageBytes && end > start) break;
  }
  return { changes: changes.slice(start, end), through: end < changes.length ? changes[end - 1]!.revision : through };
}

/**
 * The log of one type for followers that are behind the cache's window: small pages, which are cached for a while, so
 * that followers at the same position share one read and the same entries.
 */
export class LogPages {
  readonly #store: Store;
  readonly #type: string;
  #pages: { after: number; page: LogPage }[] = [];
  readonly #reads = new Map<number, Promise<LogPage>>();
  #changes = firstChanges;

  constructor(store: Store, type: string) {
    this.#store = store;
    this.#type = type;
  }

  /** A page with the changes that follow `after`, and perhaps earlier ones. Rejects as `Store.changes` does. */
  read(after: number): Promise<LogPage> {
    const kept = this.#pages.find((known) => known.after <= after && after < known.page.through);
    if (kept) return Promise.resolve(kept.page);
    const reading = this.#reads.get(after);
    if (reading) return reading;
    const read = this.#read(after).finally(() => {
      if (this.#reads.get(after) === read) this.#reads.delete(after);
    });
    this.#reads.set(after, read);
    return read;
  }

  /** Clears the cache: the log is another one, or has no followers. */
  clear(): void {
    this.#pages = [];
    this.#reads.clear();
  }

  async #read(after: number): Promise<LogPage> {
    const pages = this.#pages;
    const page = await this.#store.changes(this.#type, after, this.#changes);
    const { changes } = page;
    if (changes.length === 0) return page;
    const bytes = changes.reduce((sum, change) => sum + sizeOf(change), 0);
    const fitting = Math.floor((pageBytes * changes.length) / Math.max(bytes, 1));
    this.#changes = Math.max(1, Math.min(mostChanges, fitting));
    // Cleared meanwhile: the page is its reader's alone.
    if (pages !== this.#pages) return page;
    pages.push({ after, page });
    if (pages.length > mostPages) pages.shift();
    return page;
  }
}
