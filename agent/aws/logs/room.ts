/** Memory that many share: who wants more than is left waits. What one takes may go a little beyond. */
export class Room {
  readonly #most: number;
  #used = 0;
  #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  get used(): number {
    return this.#used;
  }

  /** Resolves when there is room, or when the signal aborts. */
  async free(signal: AbortSignal): Promise<void> {
    while (this.#used >= this.#most && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener("abort", done);
          resolve();
        };
        signal.addEventListener("abort", done, { once: true });
        this.#waiting.push(done);
      });
    }
  }

  take(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    if (this.#used >= this.#most) return;
    for (const go of this.#waiting.splice(0)) go();
  }
}
