import { type Clock, systemClock, systemRandom } from "#base";
import type { Process } from "#store/model";
import { Dice } from "#test/make";
import type { Dynamo, Item } from "../client.ts";
import { type DynamoOptions, type DynamoStore, openDynamo } from "../dynamo.ts";
import { allRules } from "../rules.ts";
import { Double, fairWeather, type Weather } from "./double.ts";
import { sortKeys } from "./witness.ts";

/** A store over a double of the tables in which everything happens in the next turn of the event loop. */
export interface Stand {
  store: DynamoStore;
  double: Double;
  dynamo: Dynamo;
  /** Another process over the same tables. */
  another(dynamo?: Dynamo, more?: Partial<DynamoOptions>): DynamoStore;
  items(table: "objects" | "changes"): Item[];
}

export interface StandOptions {
  clock?: Clock;
  weather?: Weather;
  shards?: number;
}

export function openStand({ clock = systemClock, weather = fairWeather, shards = 1 }: StandOptions = {}): Stand {
  const process: Process = { name: "one", isAlive: true, frozenUntil: 0, clock, random: systemRandom };
  const stage = {
    get now() {
      return clock.now();
    },
    step: 0,
    dice: new Dice(7),
    beforeJump: () => {},
    post: (_owner: Process | undefined, run: () => void) => setImmediate(run),
  };
  const witness = { wrote: () => {}, queried: () => {}, sent: () => {} };
  const double = new Double(stage, sortKeys, weather, witness);
  const dynamo = double.clientOf(process);
  const tables = { objects: "objects", changes: "changes" };
  const another = (client = dynamo, more: Partial<DynamoOptions> = {}) =>
    openDynamo(
      { dynamo: client, tables, clock, random: systemRandom, shards: () => shards, poll: 20, ...more },
      allRules,
    );
  return { store: another(), double, dynamo, another, items: (table) => double.items(table) };
}
