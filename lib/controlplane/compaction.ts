import { type Clock, type Log, messageOf, type Timer } from "#base";
import type { Store } from "#store";

export interface CompactionOptions {
  store: Store;
  /** The types whose logs are compacted, at this moment. */
  types: () => readonly string[];
  clock: Clock;
  log: Log;
  /** How long changes are kept at least, in milliseconds. */
  keep?: number;
  /** How often the floor rises, in milliseconds. */
  every?: number;
}

const tenMinutes = 10 * 60_000;
const twoMinutes = 2 * 60_000;

/**
 * Raises each type's floor to where its log stood some minutes ago, again and again, so that logs do not grow for ever:
 * a watch or a continued list that is older is told 410, as upstream's compaction of etcd does. Returns how to stop.
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
    // The youngest mark that is old enough; older ones have served.
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
