import fc from "fast-check";
import { check, type Plan, plans, play, World } from "#store/model";
import { openDynamo } from "../dynamo.ts";
import type { Rules } from "../rules.ts";
import { Double, type Weather } from "./double.ts";
import { sortKeys, TableWitness } from "./witness.ts";

export interface Game {
  plan: Plan;
  weather: Weather;
  shards: number;
}

const rarely = fc.constantFrom(0, 0.01, 0.05);

/** Histories for fast-check: a plan, and the failures of the tables. */
export const games = (steps = 4): fc.Arbitrary<Game> =>
  fc.record({
    plan: plans(steps),
    shards: fc.constantFrom(1, 2),
    weather: fc.record({
      throttle: rarely,
      conflict: fc.constantFrom(0, 0.02, 0.2),
      lostRequest: rarely,
      lostReply: rarely,
      duplicate: fc.constantFrom(0, 0.05, 0.3),
      slow: fc.constantFrom(0, 0.05, 0.3),
      timeout: rarely,
    }),
  });

export interface Outcome {
  faults: string[];
  events: string[];
  steps: number;
  acknowledged: number;
  refused: number;
  unknown: number;
  lists: number;
  reads: number;
  compacted: number;
}

/** Plays one history of the driver with these rules over the double, and checks it. */
export async function playDynamo({ plan, weather, shards }: Game, rules: Rules): Promise<Outcome> {
  const world = new World(plan.seed, plan.troubles);
  const witness = new TableWitness(world);
  const double = new Double(world, sortKeys, weather, witness);
  // Items expire by time; how soon afterwards they are deleted is random.
  const expire = setExpiry(world, double);
  const history = await play(
    plan,
    world,
    (process) => {
      const { clock, random } = process;
      const options = {
        dynamo: double.clientOf(process),
        tables: { objects: "objects", changes: "changes" },
        clock,
        random,
      };
      const store = openDynamo({ ...options, shards: () => shards, poll: 400 }, rules);
      const tick = (roll: number) =>
        roll < 0.1 ? store.reshard("things", 1 + world.dice.below(3)) : store.sweep("things");
      return { store, tick };
    },
    2500,
  );
  expire();
  await world.drain();
  double.finishHalves();
  const faults = [...check(history, witness.truth()), ...witness.checkReads(history), ...witness.checkSlots(history)];
  const of = (result: string) => history.writes.filter((write) => write.result === result).length;
  return {
    faults,
    events: world.events,
    steps: world.step,
    acknowledged: history.writes.filter(({ result }) => typeof result === "object" && !(result instanceof Error))
      .length,
    refused: of("refused"),
    unknown: of("unknown"),
    lists: history.listed.length,
    reads: history.reads.length,
    compacted: history.reads.filter(({ result }) => result instanceof Error).length,
  };
}

function setExpiry(world: World, double: Double): () => void {
  const before = world.beforeJump;
  world.beforeJump = (milliseconds) => {
    before(milliseconds);
    if (milliseconds > 3_600_000) world.post(undefined, () => double.expire(0.7));
  };
  return () => double.expire(0.3);
}
