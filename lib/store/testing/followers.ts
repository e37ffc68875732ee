/** Followers of a cache, for tests. */
import type { Change } from "#store";

/** Runs the tasks that are due. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Fails where a follower is lost for another reason than the end of its cache. */
export const lost = (error: Error): void => {
  if (error.message !== "the cache was closed") throw new Error(`the follower was lost: ${error.message}`);
};

/** A follower that records the changes. */
export const recorder = () => {
  const seen: Change[] = [];
  const told = { seen, through: 0, error: undefined as Error | undefined };
  const listener = (changes: Change[], through: number) => {
    seen.push(...changes);
    told.through = through;
  };
  const onLost = (error: Error) => {
    told.error = error;
  };
  return { told, listener, onLost };
};

export const revisions = (changes: Change[]) => changes.map((change) => change.revision);
