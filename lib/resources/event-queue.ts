import { type ApiError, type Deferred, deferred, expired, internalError, isApiError, messageOf } from "#base";
import { type Change, Compacted, type Entry } from "#store";
import { follow } from "./feed.ts";
import type { Resource } from "./registry.ts";
import type { Resources } from "./resources.ts";
import { type SelectedEvent, type Selection, selectedEvent } from "./selection.ts";

/** An item of a watch that waits for its reader. */
export type WatchItem =
  | { event: SelectedEvent; revision: number; previous: Entry | undefined }
  /** Everything up to this revision has been delivered; `initial` ends the objects that existed at the start. */
  | { bookmark: number; initial: boolean }
  | { error: ApiError };

/** About how many bytes of objects wait for a reader, and how many an HTTP response sends at a time. */
export const pageBytes = 64 * 1024;

const sizeOf = (item: WatchItem): number => ("event" in item ? item.event.entry.body.length : 0);

/**
 * The events of one watch on their way to its reader. The log appends a page at a time, and appends the next one when
 * the reader has taken it. So a slow reader costs a page of memory: the events behind it stay in the log until they are
 * compacted, and the watch then ends with an Expired error. The watch also ends when its kind is no longer served.
 */
export class EventQueue {
  readonly #resources: Resources;
  readonly #resource: Resource;
  readonly #selection: Selection;
  /** The objects that existed at the start, which come first, and how many of them were taken. */
  #objects: readonly Entry[] = [];
  #objectsTaken = 0;
  #items: WatchItem[] = [];
  #itemsTaken = 0;
  /** Bytes of objects in `#items`. */
  #waiting = 0;
  /** Resolves when there is room for the next page. */
  #room: Deferred<void> | undefined;
  #through = 0;
  #ended = false;
  #wake: Deferred<void> | undefined;
  #stop: () => void = () => {};
  #onEnd: () => void = () => {};
  readonly #unsubscribe: () => void;

  constructor(resources: Resources, resource: Resource, selection: Selection) {
    this.#resources = resources;
    this.#resource = resource;
    this.#selection = selection;
    const { registry } = resources;
    this.#unsubscribe = registry.onChange(() => {
      if (!registry.has(resource)) this.end();
    });
  }

  /** The revision up to which the log has been read. */
  get through(): number {
    return this.#through;
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  get isEmpty(): boolean {
    return this.#objects.length === 0 && this.#items.length === this.#itemsTaken;
  }

  /** Puts the objects that exist at the start before all events. */
  start(entries: readonly Entry[]): void {
    this.#objects = entries;
  }

  bookmark(revision: number, initial: boolean): void {
    this.#push({ bookmark: revision, initial });
  }

  /** Appends the changes above `after` from now on. Never rejects: an error becomes the last item. */
  async follow(after: number): Promise<void> {
    this.#through = after;
    try {
      this.#stop = await follow(this.#resources, this.#resource.type, after, {
        changes: (changes, through) => this.#append(changes, through),
        lost: (error) => this.fail(error),
      });
    } catch (error) {
      this.fail(error);
    }
    if (this.#ended) this.#stop();
  }

  #append(changes: readonly Change[], through: number): Promise<void> | undefined {
    if (this.#ended) return undefined;
    for (const change of changes) if (change.revision > this.#through) this.#select(change);
    this.#through = Math.max(this.#through, through);
    if (this.#waiting < pageBytes && this.#objects.length === 0) return undefined;
    this.#room ??= deferred();
    return this.#room.promise;
  }

  #select(change: Change): void {
    const { key, revision, previous } = change;
    try {
      const event = selectedEvent(this.#selection, change);
      if (event) this.#push({ event, revision, previous });
    } catch (error) {
      // An object on which the server's own code fails is omitted, and the watch continues with the next one.
      const fault = { kind: this.#resource.kind, key, what: `@${revision}` };
      this.#resources.faults.report("watch", fault, error);
    }
  }

  #push(item: WatchItem): void {
    this.#items.push(item);
    this.#waiting += sizeOf(item);
    this.#wake?.resolve();
  }

  /** Ends the watch with an error as its last item. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#push({ error: this.#readable(error) });
    this.end();
  }

  #readable(error: unknown): ApiError {
    if (error instanceof Compacted) return expired(`too old resource version: ${this.#through} (${error.floor})`);
    return isApiError(error) ? error : internalError(messageOf(error), error);
  }

  /** Ends the watch; items that wait can still be taken. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unsubscribe();
    this.#stop();
    this.#onEnd();
    this.#wake?.resolve();
    this.#room?.resolve();
  }

  /** Calls `listener` once, when the watch ends. */
  onEnd(listener: () => void): void {
    this.#onEnd = listener;
    if (this.#ended) listener();
  }

  /** Removes the next item; undefined when none waits. */
  take(): WatchItem | undefined {
    const object = this.#objects[this.#objectsTaken];
    if (object) {
      if (++this.#objectsTaken === this.#objects.length) [this.#objects, this.#objectsTaken] = [[], 0];
      this.#makeRoom();
      return { event: { type: "ADDED", entry: object }, revision: object.revision, previous: undefined };
    }
    const item = this.#items[this.#itemsTaken];
    if (!item) return undefined;
    if (++this.#itemsTaken === this.#items.length) [this.#items, this.#itemsTaken] = [[], 0];
    this.#waiting -= sizeOf(item);
    this.#makeRoom();
    return item;
  }

  #makeRoom(): void {
    if (!this.#room || this.#waiting >= pageBytes || this.#objects.length > 0) return;
    this.#room.resolve();
    this.#room = undefined;
  }

  /** Resolves when an item waits or the watch has ended. */
  async arrival(): Promise<void> {
    if (!this.isEmpty || this.#ended) return;
    this.#wake = deferred();
    await this.#wake.promise;
    this.#wake = undefined;
  }
}
