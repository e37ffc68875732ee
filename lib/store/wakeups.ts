interface Sleeper {
  after: number;
  wake: () => void;
}

/** The waits for changes of types, in one process. */
export class Wakeups {
  readonly #sleepers = new Map<string, Set<Sleeper>>();

  /** Resolves when the type is announced beyond `after`, or when the signal aborts. */
  wait(type: string, after: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const sleepers = this.#sleepers.get(type) ?? new Set();
      this.#sleepers.set(type, sleepers);
      const wake = () => {
        sleepers.delete(sleeper);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const sleeper = { after, wake };
      sleepers.add(sleeper);
      signal.addEventListener("abort", wake, { once: true });
    });
  }

  /** Resolves all waits for the type below `head`. */
  announce(type: string, head: number): void {
    for (const sleeper of this.#sleepers.get(type) ?? []) if (head > sleeper.after) sleeper.wake();
  }

  /** Ends every wait. */
  close(): void {
    for (const sleepers of this.#sleepers.values()) for (const sleeper of sleepers) sleeper.wake();
  }
}
