import { type Change, forwardTo, type Store } from "#store";
import { check, type Truth } from "./check.ts";
import type { Plan } from "./plan.ts";
import { play, textOf } from "./play.ts";
import { World } from "./world.ts";

/** A store that all processes share: only its users crash and freeze. */
export interface Local {
  store: Store;
  /** Whether a commit has taken effect when the call returns, so that refusals can be checked. */
  isImmediate: boolean;
}

const steps = 2500;

/** Plays one history over a store of this process, and returns its faults. */
export async function playLocal(plan: Plan, { store, isImmediate }: Local): Promise<string[]> {
  const world = new World(plan.seed, plan.troubles);
  const archive: Change[] = [];
  const states: NonNullable<Truth["states"]> = new Map();
  const faults: string[] = [];
  const type = "things";
  /** Records the changes that compaction is about to delete. */
  const keep = async () => {
    const after = archive.at(-1)?.revision ?? 1;
    const { changes } = await store.changes(type, after, Number.MAX_SAFE_INTEGER);
    archive.push(...changes);
  };
  const watched: Store = {
    ...forwardTo(store),
    commit: async (name, writes) => {
      const results = await store.commit(name, writes);
      for (const [index, result] of results.entries()) {
        if (result instanceof Error) continue;
        const { type, key } = writes[index]!;
        const all = states.get(key) ?? [];
        states.set(key, all);
        all.push({ step: world.step, revision: type === "delete" ? 0 : result.revision });
      }
      return results;
    },
    compact: async (name, before) => {
      await keep();
      await store.compact(name, before);
    },
  };
  const history = await play(plan, world, (process) => ({ store: waiting(world, process, watched) }), steps);
  await world.drain();
  await keep();
  for (const [index, change] of archive.entries())
    if (change.revision !== index + 2) faults.push(`the log has ${change.revision} in place ${index + 2}`);
  const objects = new Map((await store.list(type)).entries.map((entry) => [entry.key, entry.revision]));
  const log = archive.map((change) => ({
    revision: change.revision,
    type: change.type,
    key: change.key,
    text: textOf(change.entry).split("@")[0]!,
    previous: change.previous?.revision ?? 0,
  }));
  return check(history, { log, objects, states: isImmediate ? states : undefined, faults });
}

/** The store for one process: every call may wait before it is made and before its answer arrives. */
function waiting(world: World, process: Parameters<World["post"]>[0], store: Store): Store {
  const turn = () => new Promise<void>((resolve) => void world.post(process, resolve));
  const later =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await turn();
      const answer = await call(...args).then(
        (value) => () => value,
        (error) => () => {
          throw error;
        },
      );
      await turn();
      return answer();
    };
  return {
    get: later(store.get),
    head: later(store.head),
    list: later(store.list),
    commit: later(store.commit),
    changes: later(store.changes),
    changed: store.changed,
    compact: later(store.compact),
    close: async () => {},
  };
}
