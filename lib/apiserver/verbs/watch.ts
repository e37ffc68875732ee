import { type Deferred, deferred, expired, internalError, isApiError, messageOf, tooManyRequests } from "#base";
import { type Change, Compacted, type Entry } from "#store";
import { negotiate } from "#wire";
import { includeObject, jsonType, protobufType, statusOf } from "../answer.ts";
import { reportFault } from "../contained.ts";
import { follow } from "../feed.ts";
import { booleanOption, integerOption } from "../query.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { type Seen, type Selection, seen, selectionOf } from "../selection.ts";
import type { Call } from "../server.ts";
import { find, listParameters, revisionOf } from "./list.ts";
import { type EventEncoder, encoderOf, protobufEncoder } from "./watch-events.ts";

/**
 * GET of a collection with `watch`: a line of JSON per event. Without a revision (or with 0) the objects that are
 * there come first; with `sendInitialEvents` a marked bookmark follows them (WatchList). What went wrong once the
 * stream has begun ends it with an ERROR event.
 */
export async function watch(call: Call, request: ApiRequest): Promise<ApiResponse> {
  const { query } = request;
  const { server, resource } = call;
  const format = negotiate(request.headers["accept"], { path: "watch" });
  const selection = selectionOf(resource.kind, call.namespace, query);
  listParameters(query, selection.prefix, true);
  const revision = revisionOf(query.get("resourceVersion") ?? "");
  const initial = booleanOption(query, "sendInitialEvents");
  const bookmarks = booleanOption(query, "allowWatchBookmarks") ?? false;
  if (server.load.watches >= server.limits.watches)
    throw tooManyRequests("too many watches, please try again later", 5);
  const timeout = timeoutOf(integerOption(query, "timeoutSeconds") ?? 0, call);
  const inProtobuf = format.encoding === "protobuf";
  const encode = inProtobuf ? await protobufEncoder(call, format) : encoderOf(call, format, includeObject(request));
  const place = await server.watchPlaces?.take(timeout);
  const stream = new WatchStream(call, selection, encode);
  // Upstream reads a watch from nowhere as one that wants the initial events.
  const withObjects = initial ?? revision === 0;
  server.load.watches++;
  try {
    if (withObjects) {
      const older = revision > 0 ? { notOlderThan: revision } : {};
      const found = await find(server, resource.type, selection, { limit: 0, ...older }, request.signal).catch(
        (error: unknown) => {
          // Upstream waits for the revision once the stream has begun, where the initial events were asked for.
          if (!initial || !isApiError(error)) throw error;
          stream.refuse(error);
        },
      );
      if (found) stream.start(found.entries, found.revision, bookmarks);
      if (found) await stream.follow(found.revision);
    } else await stream.follow(revision > 0 ? revision : await server.store.head(resource.type));
  } catch (error) {
    server.load.watches--;
    await place?.leave();
    throw error;
  }
  const counted = server.metrics?.watching(resource.kind, call.namespace);
  const closed = (): Promise<void> | undefined => {
    server.load.watches--;
    counted?.();
    return place?.leave();
  };
  return {
    status: 200,
    headers: {
      "content-type": inProtobuf ? `${protobufType};stream=watch` : jsonType,
      "cache-control": "no-cache, private",
    },
    body: stream.open(request.signal, place?.milliseconds ?? timeout, bookmarks, closed),
    ...(inProtobuf ? {} : { messages: "events" }),
  };
}

/** Timers know no longer time, in milliseconds. */
const longestTimer = 2 ** 31 - 1;

function timeoutOf(asked: number, { server }: Call): number {
  if (asked > 0) return Math.min(asked * 1000, longestTimer);
  return server.limits.watchTimeout * (1 + server.random.fraction());
}

const sizeOf = (item: Waiting): number => ("event" in item ? item.event.entry.body.length : 0);

/** About how many bytes of events wait for a client, and how many it takes at a time. */
const pageBytes = 64 * 1024;

/** What waits for its client: each is written when it is taken, so that nothing is written for a client that is gone. */
type Waiting = { event: Seen; revision: number } | { bookmark: number; initial: boolean } | { error: object };

/**
 * The events of one watch on their way to its client. The log's side only appends, a page at a time; the client's side
 * takes, and the next page comes once it has taken the last one. So a client that reads slowly costs a page: what
 * it has not come to stays in the log, and is Compacted there in the end.
 */
class WatchStream {
  readonly #call: Call;
  readonly #selection: Selection;
  readonly #encode: EventEncoder;
  /** The objects that are there, which come first, and how many of them were taken. */
  #objects: readonly Entry[] = [];
  #taken = 0;
  #queue: Waiting[] = [];
  /** What waits, in bytes of objects. */
  #waiting = 0;
  /** Resolves when there is room for the next page. */
  #room: Deferred<void> | undefined;
  #through = 0;
  #ended = false;
  #wake: Deferred<void> | undefined;
  #stop: () => void = () => {};
  #closed: () => Promise<void> | undefined = () => undefined;
  /** The place that was left, which a function must not be frozen before. */
  #left: Promise<void> | undefined;

  constructor(call: Call, selection: Selection, encode: EventEncoder) {
    this.#call = call;
    this.#selection = selection;
    this.#encode = encode;
  }

  /** The objects that are there, before anything is followed. */
  start(entries: readonly Entry[], revision: number, marked: boolean): void {
    this.#objects = entries;
    if (marked) this.#push({ bookmark: revision, initial: true });
  }

  /** Ends the watch before it has begun to follow, with the error as its only event. */
  refuse(error: unknown): void {
    this.#push({ error: statusOf(error) });
    this.#end();
  }

  async follow(after: number): Promise<void> {
    const { server, resource } = this.#call;
    this.#through = after;
    try {
      this.#stop = await follow(server, resource.type, after, {
        changes: (changes, through) => this.#changes(changes, through),
        lost: (error) => this.#fail(error),
      });
    } catch (error) {
      this.#fail(error);
    }
    if (this.#ended) this.#stop();
  }

  #changes(changes: readonly Change[], through: number): Promise<void> | undefined {
    if (this.#ended) return undefined;
    for (const change of changes) {
      if (change.revision <= this.#through) continue;
      this.#change(change);
    }
    this.#through = Math.max(this.#through, through);
    if (this.#waiting < pageBytes && this.#objects.length === 0) return undefined;
    this.#room ??= deferred();
    return this.#room.promise;
  }

  #change(change: Change): void {
    try {
      const event = seen(this.#selection, change);
      if (event) this.#push({ event, revision: change.revision });
    } catch (error) {
      this.#passOver(change.key, change.revision, error);
    }
  }

  /** An object that the server's own code fails on is passed over: the watch goes on with the next one. */
  #passOver(key: string, revision: number, error: unknown): void {
    const { server, resource } = this.#call;
    reportFault(server, "watch", { kind: resource.kind, key, what: `@${revision}` }, error);
  }

  #push(item: Waiting): void {
    this.#queue.push(item);
    this.#waiting += sizeOf(item);
    this.#wake?.resolve();
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    const old = error instanceof Compacted;
    const status = old
      ? expired(`too old resource version: ${this.#through} (${error.floor})`).status
      : statusOf(internalError(messageOf(error)));
    this.#push({ error: status });
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stop();
    this.#left = this.#closed();
    this.#wake?.resolve();
    this.#room?.resolve();
  }

  /** Tells how far this watch has come. A watch that began ahead of the log has come nowhere yet: no bookmark then. */
  async #bookmark(): Promise<void> {
    const { server, resource } = this.#call;
    const head = await server.store.head(resource.type).catch(() => 0);
    if (!this.#ended && head >= this.#through) this.#push({ bookmark: this.#through, initial: false });
  }

  get #isEmpty(): boolean {
    return this.#objects.length === 0 && this.#queue.length === 0;
  }

  /** What waits, about a page of it, as one chunk; undefined when nothing of it can be written. */
  #take(): Uint8Array | undefined {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    const add = (item: Waiting) => {
      const chunk = this.#written(item);
      if (!chunk) return;
      chunks.push(chunk);
      bytes += chunk.length;
    };
    for (; this.#taken < this.#objects.length && bytes < pageBytes; this.#taken++) {
      const entry = this.#objects[this.#taken]!;
      add({ event: { type: "ADDED", entry }, revision: entry.revision });
    }
    if (this.#taken >= this.#objects.length) [this.#objects, this.#taken] = [[], 0];
    let count = 0;
    for (; this.#objects.length === 0 && count < this.#queue.length && bytes < pageBytes; count++) {
      const item = this.#queue[count]!;
      this.#waiting -= sizeOf(item);
      add(item);
    }
    this.#queue.splice(0, count);
    if (this.#waiting < pageBytes && this.#objects.length === 0) {
      this.#room?.resolve();
      this.#room = undefined;
    }
    return chunks.length <= 1 ? chunks[0] : Buffer.concat(chunks);
  }

  #written(item: Waiting): Uint8Array | undefined {
    if ("error" in item) return this.#encode.error(item.error);
    if ("bookmark" in item) return this.#encode.bookmark(item.bookmark, item.initial);
    try {
      return this.#encode.event(item.event, item.revision);
    } catch (error) {
      this.#passOver(item.event.entry.key, item.revision, error);
      return undefined;
    }
  }

  /** Starts the watch's clock. It ends by `timeout`, by the signal, or with its body, read or not; `closed` hears of it. */
  open(
    signal: AbortSignal,
    timeout: number,
    bookmarks: boolean,
    closed: () => Promise<void> | undefined,
  ): AsyncIterable<Uint8Array> {
    const { clock, limits, random } = this.#call.server;
    const end = () => this.#end();
    const expire = () => void (bookmarks ? this.#bookmark().finally(end) : end());
    const bookmark = () => {
      // A client that has not taken what waits knows no use for one.
      if (this.#isEmpty) void this.#bookmark();
      timers[1] = clock.timer(limits.bookmarkEvery * (0.75 + random.fraction() / 2), bookmark);
    };
    const timers = [clock.timer(timeout, expire)];
    if (bookmarks) timers[1] = clock.timer(limits.bookmarkEvery, bookmark);
    signal.addEventListener("abort", end, { once: true });
    this.#closed = () => {
      for (const timer of timers) timer.cancel();
      signal.removeEventListener("abort", end);
      return closed();
    };
    if (this.#ended) this.#left = this.#closed();
    if (signal.aborted) end();
    const chunks = this.#chunks(signal);
    const iterator: AsyncIterator<Uint8Array> = {
      next: () => chunks.next(),
      // A body that nobody has begun to read is ended all the same.
      return: async () => {
        end();
        await this.#left;
        return chunks.return(undefined);
      },
    };
    return { [Symbol.asyncIterator]: () => iterator };
  }

  async *#chunks(signal: AbortSignal): AsyncGenerator<Uint8Array, undefined> {
    while (!signal.aborted) {
      if (!this.#isEmpty) {
        const chunk = this.#take();
        if (chunk) yield chunk;
      } else if (this.#ended) break;
      else {
        this.#wake = deferred();
        await this.#wake.promise;
        this.#wake = undefined;
      }
    }
    await this.#left;
  }
}
