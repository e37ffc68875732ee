/** A limit on the memory that all shipments use together. A shipment may exceed it by its last line. */
export class MemoryLimit {
  readonly #maxBytes: number;
  #used = 0;
  #waiting: (() => void)[] = [];

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get used(): number {
    return this.#used;
  }

  /** Resolves when memory is free, or when the signal aborts. */
  async free(signal: AbortSignal): Promise<void> {
    while (this.#used >= this.#maxBytes && !signal.aborted) {
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

  reserve(bytes: number): void {
    this.#used += bytes;
  }

  release(bytes: number): void {
    this.#used -= bytes;
    if (this.#used >= this.#maxBytes) return;
    for (const resume of this.#waiting.splice(0)) resume();
  }
}
