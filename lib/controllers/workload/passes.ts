import type { Clock } from "#base";

/** How many of one key's objects are worked on at once. */
const atOnce = 8;
/** A third of the time that a function has, in milliseconds: what takes longer than its function starts over. */
const passLength = 20_000;

/** When a pass that begins now is over: one reconcile has one, however many lists it goes through. */
export const passEnd = (clock: Clock): number => clock.now() + passLength;

/**
 * Does something to each object, several at once, until a pass is over. Resolves with whether all were reached; where
 * they were not, the key must come again. The first failure ends the pass and is thrown.
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
    // Each does one at the least: where reading alone takes all the time, no pass would ever do anything.
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
