import type { Clock } from "#base";

/** How many objects of one key are processed at once. */
const atOnce = 8;
/** Milliseconds; a third of a function's time limit, so that a pass ends before its function does. */
const passLength = 20_000;

/** When a pass that starts now ends: a reconcile has one pass, however many lists it processes. */
export const passEnd = (clock: Clock): number => clock.now() + passLength;

/**
 * Calls `act` for each object, several at once, until the pass ends. Resolves with whether all objects were processed;
 * if not, the key must be reconciled again. The first failure ends the pass and is thrown.
 */
export async function inOnePass<T>(
  clock: Clock,
  objects: Iterable<T> | AsyncIterable<T>,
  act: (object: T) => Promise<unknown>,
  end = passEnd(clock),
): Promise<boolean> {
  const iterator = Symbol.asyncIterator in objects ? objects[Symbol.asyncIterator]() : objects[Symbol.iterator]();
  let reached = false;
  let failures: unknown[] = [];
  const work = async (): Promise<void> => {
    // Each worker processes at least one object: else a pass in which reading takes all the time would achieve nothing.
    for (let isFirst = true; !reached && failures.length === 0 && (isFirst || clock.now() < end); isFirst = false) {
      const next = await iterator.next();
      if (next.done) reached = true;
      else await act(next.value);
    }
  };
  const tried = Array.from({ length: atOnce }, () =>
    work().catch((error: unknown) => {
      failures = [...failures, error];
    }),
  );
  await Promise.all(tried);
  if (failures.length > 0) throw failures[0];
  return reached;
}
