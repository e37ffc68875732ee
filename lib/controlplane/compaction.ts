import { type Clock, type Log, messageOf, type Timer } from "#base";
import type { Store } from "#store";

export interface CompactionOptions {
  store: Store;
  /** The types whose logs are compacted, at this moment. */
  types: () => readonly string[];
  clock: Clock;
  log: Log;
  /** The least time for which changes are kept, in milliseconds. */
  keep?: number;
  /** How often the floor rises, in milliseconds. */
  every?: number;
}

const tenMinutes = 10 * 60_000;
const twoMinutes = 2 * 60_000;

/**
 * Raises each type's floor periodically to the head of some minutes ago, so that logs stay short: an older watch or
 * continued list fails with 410, as after upstream's compaction of etcd. Returns the function that stops it.
 */
export function startCompaction({
  store,
  types,
  clock,
  log,
  keep = tenMinutes,
  every = twoMinutes,
}: CompactionOptions): () => void {
  const marks: { at: number; heads: Map<string, number> }[] = [];
  let timer: Timer | undefined;
  let stopped = false;
  const round = async (): Promise<void> => {
    const now = clock.now();
    const heads = new Map<string, number>();
    for (const type of types()) heads.set(type, await store.head(type));
    marks.push({ at: now, heads });
    // The newest position that is old enough; older ones are no longer needed.
    while (marks.length > 1 && marks[1]!.at <= now - keep) marks.shift();
    const [mark] = marks;
    if (!mark || mark.at > now - keep) return;
    for (const [type, head] of mark.heads) if (!stopped) await store.compact(type, head);
  };
  const next = (): void => {
    timer = clock.timer(every, () => {
      round()
        .catch((error: unknown) =>
          log.warn("the log could not be compacted and will be later", { error: messageOf(error) }),
        )
        .finally(() => {
          if (!stopped) next();
        });
    });
  };
  next();
  return () => {
    stopped = true;
    timer?.cancel();
  };
}
