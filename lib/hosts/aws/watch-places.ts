import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  PutItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { WatchPlaces } from "#apiserver";
import { type Clock, type Log, nameSuffix, type Random, tooManyRequests } from "#base";
import { keyOf, type Row, rows } from "./rows.ts";

export interface PlacesOptions {
  dynamo: DynamoDBClient;
  /** The store's `objects` table. */
  table: string;
  /** The most watches at once. */
  limit: number;
  clock: Clock;
  random: Random;
  log: Log;
}

/** Milliseconds: watches up to this long, such as those of agents, need no lease. */
const momentary = 5000;
/** The least milliseconds to which a watch is shortened. */
const shortest = 60_000;
/** Milliseconds for which a lease outlasts its watch, in case it cannot be released. */
const grace = 15_000;
const maxAttempts = 4;
/** Seconds. */
const retryAfter = 5;
const { leases } = rows.watchPlaces.attributes;

/**
 * Leases for watches, all in one row: each watch occupies a Lambda, and at most `limit` may do so at once. The more
 * leases are taken, the shorter a new one lasts, so that every client gets a turn.
 */
export class DynamoWatchPlaces implements WatchPlaces {
  readonly #options: PlacesOptions;
  readonly #row: { TableName: string; Key: Row };

  constructor(options: PlacesOptions) {
    this.#options = options;
    this.#row = { TableName: options.table, Key: keyOf("watchPlaces", "leases") };
  }

  /** Throws ApiError 429 when every lease is taken. */
  async take(milliseconds: number): Promise<{ milliseconds: number; leave(): Promise<void> }> {
    if (milliseconds <= momentary) return { milliseconds, leave: async () => {} };
    const { limit, clock, random } = this.#options;
    const now = (): number => Math.ceil(clock.now() / 1000);
    const id = nameSuffix(random, 10);
    let expired: Lease[] = [];
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const lease = { id, until: now() + Math.ceil((milliseconds + grace) / 1000) };
      const found = await this.#acquire(lease, expired);
      if (typeof found === "number") {
        return { milliseconds: givenTo(found, limit, milliseconds), leave: () => this.#release(id) };
      }
      expired = found.filter(({ until }) => until < now());
      if (found.length >= limit && expired.length === 0) break;
    }
    throw tooManyRequests(`all ${limit} watches are in use; please try again later`, retryAfter);
  }

  /**
   * Stores a lease and removes the expired ones in the same write. Resolves with the number of leases that are then
   * taken, or with all leases if there was no room or one of the expired has changed.
   */
  async #acquire({ id, until }: Lease, expired: readonly Lease[]): Promise<number | Lease[]> {
    const names = Object.fromEntries(expired.map(({ id: old }, index) => [`#o${index}`, old]));
    const values = Object.fromEntries(expired.map((lease, index) => [`:o${index}`, { N: String(lease.until) }]));
    const unchanged = expired.map((_, index) => `${leases}.#o${index} = :o${index}`);
    const room = expired.length > 0 ? unchanged : [`size(${leases}) < :limit`];
    const limits = expired.length > 0 ? {} : { ":limit": { N: String(this.#options.limit) } };
    const paths = Object.keys(names).map((name) => `${leases}.${name}`);
    const remove = paths.length > 0 ? ` REMOVE ${paths}` : "";
    try {
      const { Attributes } = await this.#options.dynamo.send(
        new UpdateItemCommand({
          ...this.#row,
          UpdateExpression: `SET ${leases}.#id = :until${remove}`,
          ConditionExpression: [`attribute_exists(${leases})`, ...room].join(" AND "),
          ExpressionAttributeNames: { "#id": id, ...names },
          ExpressionAttributeValues: { ":until": { N: String(until) }, ...limits, ...values },
          ReturnValues: "ALL_NEW",
          ReturnValuesOnConditionCheckFailure: "ALL_OLD",
        }),
      );
      return leasesIn(Attributes).length;
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
      if (error.Item) return leasesIn(error.Item);
      await this.#createRow();
      return [];
    }
  }

  /** Creates the row, for the cluster's first watch. */
  async #createRow(): Promise<void> {
    const { TableName, Key } = this.#row;
    const Item = { ...Key, [leases]: { M: {} } };
    const put = new PutItemCommand({ TableName, Item, ConditionExpression: "attribute_not_exists(p)" });
    await this.#options.dynamo.send(put).catch((error: unknown) => {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
    });
  }

  async #release(id: string): Promise<void> {
    const update = { UpdateExpression: `REMOVE ${leases}.#id`, ExpressionAttributeNames: { "#id": id } };
    await this.#options.dynamo
      .send(new UpdateItemCommand({ ...this.#row, ...update }))
      .catch((error: unknown) => this.#options.log.warn("a watch's lease was not released, and expires", { error }));
  }
}

interface Lease {
  id: string;
  /** Seconds since the epoch. */
  until: number;
}

const leasesIn = (row: Record<string, { M?: Record<string, { N?: string }> }> | undefined): Lease[] =>
  Object.entries(row?.[leases]?.M ?? {}).map(([id, { N }]) => ({ id, until: Number(N) }));

/** The duration of a watch: the requested one while half of the leases are free, then proportionally less. */
export function givenTo(taken: number, limit: number, milliseconds: number): number {
  const free = Math.max(0, 1 - taken / limit);
  if (free >= 0.5) return milliseconds;
  return Math.min(milliseconds, Math.max(shortest, Math.round(milliseconds * 2 * free)));
}
