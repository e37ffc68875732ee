/**
 * Yields the uids that a source pushes until the signal aborts. A uid that is pushed several times before it is
 * yielded is yielded once.
 */
export async function* uidQueue(
  signal: AbortSignal,
  subscribe: (push: (uid: string) => void) => () => void,
): AsyncGenerator<string> {
  const waiting = new Set<string>();
  let wake = () => {};
  const unsubscribe = subscribe((uid) => {
    waiting.add(uid);
    wake();
  });
  const onAbort = () => wake();
  signal.addEventListener("abort", onAbort);
  try {
    while (!signal.aborted) {
      const batch = [...waiting];
      waiting.clear();
      yield* batch;
      if (waiting.size > 0 || signal.aborted) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    unsubscribe();
  }
}
