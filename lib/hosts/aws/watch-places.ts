import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  PutItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { WatchPlaces } from "#apiserver";
import { type Clock, type Log, nameSuffix, type Random, tooManyRequests } from "#base";

export interface PlacesOptions {
  dynamo: DynamoDBClient;
  /** The store's `objects` table. */
  table: string;
  /** How many watches there may be at once. */
  limit: number;
  clock: Clock;
  random: Random;
  log: Log;
}

/** Who looks for a moment, as agents do, holds nothing. */
const momentary = 5000;
/** However many there are, nobody has to begin anew more often, in milliseconds. */
const shortest = 60_000;
/** What a place outlasts its watch by, in case nobody can give it back. */
const grace = 15_000;
const tries = 4;
const retryAfter = 5;

/**
 * Leases for watches in one item: a watch holds a Lambda, and all that there are may hold so many. The more are taken,
 * the shorter each is given, so that everybody gets a turn.
 */
export function watchPlaces({ dynamo, table, limit, clock, random, log }: PlacesOptions): WatchPlaces {
  const where = { TableName: table, Key: { p: { S: "watch-places" }, k: { S: "leases" } } };
  const now = (): number => Math.ceil(clock.now() / 1000);

  /** Takes a place, those of `expired` along with it; tells how many are taken then, or who has them all. */
  const attempt = async (id: string, until: number, expired: readonly Lease[]): Promise<number | Lease[]> => {
    const names = Object.fromEntries(expired.map(({ id: old }, index) => [`#o${index}`, old]));
    const values = Object.fromEntries(expired.map((lease, index) => [`:o${index}`, { N: String(lease.until) }]));
    const same = expired.map((_, index) => `l.#o${index} = :o${index}`);
    const room = expired.length > 0 ? same : ["size(l) < :limit"];
    const limits = expired.length > 0 ? {} : { ":limit": { N: String(limit) } };
    const remove = expired.length > 0 ? ` REMOVE ${Object.keys(names).map((name) => `l.${name}`)}` : "";
    try {
      const { Attributes } = await dynamo.send(
        new UpdateItemCommand({
          ...where,
          UpdateExpression: `SET l.#id = :until${remove}`,
          ConditionExpression: ["attribute_exists(l)", ...room].join(" AND "),
          ExpressionAttributeNames: { "#id": id, ...names },
          ExpressionAttributeValues: { ":until": { N: String(until) }, ...limits, ...values },
          ReturnValues: "ALL_NEW",
          ReturnValuesOnConditionCheckFailure: "ALL_OLD",
        }),
      );
      return leasesOf(Attributes).length;
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
      if (error.Item) return leasesOf(error.Item);
      await begin();
      return [];
    }
  };
  /** The first watch of all. */
  const begin = async (): Promise<void> => {
    const Item = { ...where.Key, l: { M: {} } };
    const put = new PutItemCommand({ TableName: table, Item, ConditionExpression: "attribute_not_exists(p)" });
    await dynamo.send(put).catch((error: unknown) => {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
    });
  };
  const leave = async (id: string): Promise<void> => {
    const how = { UpdateExpression: "REMOVE l.#id", ExpressionAttributeNames: { "#id": id } };
    await dynamo
      .send(new UpdateItemCommand({ ...where, ...how }))
      .catch((error: unknown) => log.warn("a watch's place could not be given back, and lapses", { error }));
  };
  return {
    async take(milliseconds) {
      if (milliseconds <= momentary) return { milliseconds, leave: async () => {} };
      const id = nameSuffix(random, 10);
      let expired: Lease[] = [];
      for (let round = 0; round < tries; round++) {
        const found = await attempt(id, now() + Math.ceil((milliseconds + grace) / 1000), expired);
        if (typeof found === "number")
          return { milliseconds: givenTo(found, limit, milliseconds), leave: () => leave(id) };
        expired = found.filter(({ until }) => until < now());
        if (found.length >= limit && expired.length === 0) break;
      }
      throw tooManyRequests(
        `${limit} watches are open, which is as many as may be; please try again later`,
        retryAfter,
      );
    },
  };
}

interface Lease {
  id: string;
  /** Seconds since the epoch. */
  until: number;
}

const leasesOf = (item: Record<string, { M?: Record<string, { N?: string }> }> | undefined): Lease[] =>
  Object.entries(item?.["l"]?.M ?? {}).map(([id, { N }]) => ({ id, until: Number(N) }));

/** All that was asked for while half of the places are free, then less and less of it. */
export function givenTo(taken: number, limit: number, milliseconds: number): number {
  const free = Math.max(0, 1 - taken / limit);
  if (free >= 0.5) return milliseconds;
  return Math.min(milliseconds, Math.max(shortest, Math.round(milliseconds * 2 * free)));
}
