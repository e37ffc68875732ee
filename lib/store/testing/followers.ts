/** Followers of a cache, as its tests look at them. */
import type { Change } from "#store";

/** Lets what is due by now happen. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Fails where a follower is lost otherwise than by the end of its cache. */
export const lost = (error: Error): void => {
  if (error.message !== "the cache was closed") throw new Error(`the follower was lost: ${error.message}`);
};

/** A follower that keeps what it is told. */
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
