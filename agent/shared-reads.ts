import type { Clock } from "#base";

/** How old an object may be for the refresh of a volume (upstream's cache of the kubelet keeps objects for a minute). */
const recentMilliseconds = 50_000;

interface Entry<T> {
  /** The read that runs, and the one that starts after it. */
  running?: Promise<T>;
  next?: Promise<T>;
  last?: { value: T; readAt: number };
}

/** Reads of API objects by namespace and name that the pods of a node share: each costs a request. */
export class SharedReads<T> {
  readonly #read: (namespace: string, name: string) => Promise<T>;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry<T>>();

  constructor(read: (namespace: string, name: string) => Promise<T>, clock: Clock) {
    this.#read = read;
    this.#clock = clock;
  }

  /** The object by a read that begins after the call. Calls during a read share the one after it. */
  fresh(namespace: string, name: string): Promise<T> {
    const entry = this.#entryOf(namespace, name);
    if (!entry.running) return this.#start(entry, namespace, name);
    entry.next ??= entry.running
      .catch(() => {})
      .then(() => {
        delete entry.next;
        return this.#start(entry, namespace, name);
      });
    return entry.next;
  }

  /** The object as it was at most 50 seconds ago. */
  async recent(namespace: string, name: string): Promise<T> {
    const { last } = this.#entryOf(namespace, name);
    const isRecent = last && this.#clock.now() - last.readAt < recentMilliseconds;
    return isRecent ? last.value : this.fresh(namespace, name);
  }

  #start(entry: Entry<T>, namespace: string, name: string): Promise<T> {
    const readAt = this.#clock.now();
    const running = this.#read(namespace, name).then(
      (value) => {
        entry.last = { value, readAt };
        return value;
      },
      (error) => {
        delete entry.last;
        throw error;
      },
    );
    entry.running = running;
    const end = (): void => {
      if (entry.running === running) delete entry.running;
    };
    running.then(end, end);
    return running;
  }

  /** The entry, after the removal of others that are old: secrets of pods that have ended must not stay in memory. */
  #entryOf(namespace: string, name: string): Entry<T> {
    const oldest = this.#clock.now() - recentMilliseconds;
    for (const [key, { running, last }] of this.#entries) {
      if (!running && (last?.readAt ?? 0) <= oldest) this.#entries.delete(key);
    }
    const key = `${namespace}/${name}`;
    const entry = this.#entries.get(key) ?? {};
    this.#entries.set(key, entry);
    return entry;
  }
}
