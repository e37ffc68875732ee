import { type EventQueue, pageBytes, type WatchItem } from "#resources";
import type { RequestScope } from "../server.ts";
import type { EventEncoder } from "./watch-events.ts";

export interface StreamOptions {
  signal: AbortSignal;
  /** Milliseconds after which the watch ends. */
  timeout: number;
  bookmarks: boolean;
  /** Called once, when the watch ends. */
  closed: () => Promise<void> | undefined;
}

/** A watch as the body of a response: events are encoded when the client reads them, about a page at a time. */
export class WatchStream {
  readonly #call: RequestScope;
  readonly #queue: EventQueue;
  readonly #encode: EventEncoder;
  /** Resolves when the slot of the watch is returned; a function must not be frozen before. */
  #left: Promise<void> | undefined;

  constructor(call: RequestScope, queue: EventQueue, encode: EventEncoder) {
    this.#call = call;
    this.#queue = queue;
    this.#encode = encode;
  }

  /** Starts the timers. The watch ends by `timeout`, by the signal, or with its body, whether that is read or not. */
  open({ signal, timeout, bookmarks, closed }: StreamOptions): AsyncIterable<Uint8Array> {
    const queue = this.#queue;
    const { clock, random } = this.#call.resources;
    const { bookmarkEvery } = this.#call.server.limits;
    const end = () => queue.end();
    const expire = () => void (bookmarks ? this.#bookmark().finally(end) : end());
    const bookmark = () => {
      // A client that has not taken earlier items has no use for a bookmark.
      if (queue.isEmpty) void this.#bookmark();
      timers[1] = clock.timer(bookmarkEvery * (0.75 + random.fraction() / 2), bookmark);
    };
    const timers = [clock.timer(timeout, expire)];
    if (bookmarks) timers[1] = clock.timer(bookmarkEvery, bookmark);
    signal.addEventListener("abort", end, { once: true });
    queue.onEnd(() => {
      for (const timer of timers) timer.cancel();
      signal.removeEventListener("abort", end);
      this.#left = closed();
    });
    if (signal.aborted) end();
    const chunks = this.#chunks(signal);
    const iterator: AsyncIterator<Uint8Array> = {
      next: () => chunks.next(),
      // A body that is never read is ended all the same.
      return: async () => {
        end();
        await this.#left;
        return chunks.return(undefined);
      },
    };
    return { [Symbol.asyncIterator]: () => iterator };
  }

  /** Sends how far this watch has come. A watch that began at a future revision sends none before the log reaches it. */
  async #bookmark(): Promise<void> {
    const { resources, resource } = this.#call;
    const head = await resources.store.head(resource.type).catch(() => 0);
    if (!this.#queue.isEnded && head >= this.#queue.through) this.#queue.bookmark(this.#queue.through, false);
  }

  async *#chunks(signal: AbortSignal): AsyncGenerator<Uint8Array, undefined> {
    while (!signal.aborted) {
      const chunk = this.#page();
      if (chunk) yield chunk;
      else if (!this.#queue.isEmpty) continue;
      else if (this.#queue.isEnded) break;
      else await this.#queue.arrival();
    }
    await this.#left;
  }

  /** The items that wait, about a page of them, as one chunk; undefined where none can be written. */
  #page(): Uint8Array | undefined {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    while (bytes < pageBytes) {
      const item = this.#queue.take();
      if (!item) break;
      const chunk = this.#encoded(item);
      if (!chunk) continue;
      chunks.push(chunk);
      bytes += chunk.length;
    }
    return chunks.length <= 1 ? chunks[0] : Buffer.concat(chunks);
  }

  #encoded(item: WatchItem): Uint8Array | undefined {
    if ("error" in item) return this.#encode.error(item.error.status);
    if ("bookmark" in item) return this.#encode.bookmark(item.bookmark, item.initial);
    try {
      return this.#encode.event(item.event, item.revision);
    } catch (error) {
      const { resources, resource } = this.#call;
      const fault = { kind: resource.kind, key: item.event.entry.key, what: `@${item.revision}` };
      resources.faults.report("watch", fault, error);
      return undefined;
    }
  }
}
