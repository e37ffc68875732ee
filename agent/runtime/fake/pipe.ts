/** Bytes handed from one side to the other inside the process, with an end. */
export interface BytePipe extends AsyncIterable<Uint8Array> {
  write(bytes: Uint8Array): void;
  end(): void;
}

/** A queue of chunks for one reader; nothing is held back from the writer. */
export function bytePipe(): BytePipe {
  const chunks: Uint8Array[] = [];
  let ended = false;
  let wake = () => {};
  return {
    write: (bytes) => {
      if (ended) return;
      chunks.push(bytes);
      wake();
    },
    end: () => {
      ended = true;
      wake();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const next = chunks.shift();
        if (next) yield next;
        else if (ended) return;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    },
  };
}
