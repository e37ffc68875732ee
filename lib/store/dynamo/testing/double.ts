import type { GetItemInput, PutItemInput, QueryInput, TransactWriteItem } from "@aws-sdk/client-dynamodb";
import type { Process } from "#store/model";
import type { Dice } from "#test/make";
import type { Dynamo, Item } from "../client.ts";
import { compareValues, meets, updated } from "./expressions.ts";

/** The double's environment: its clock, its random source and its scheduler. */
export interface Stage {
  now: number;
  step: number;
  dice: Dice;
  beforeJump: (milliseconds: number) => void;
  post(owner: Process | undefined, run: () => void, options?: { delay?: number; isSlow?: boolean }): unknown;
}

/** The fates of requests; probabilities per request. */
export interface Weather {
  throttle: number;
  conflict: number;
  lostRequest: number;
  lostReply: number;
  duplicate: number;
  slow: number;
  /** The client times out, the request continues. */
  timeout: number;
}

export const fairWeather: Weather = {
  throttle: 0,
  conflict: 0,
  lostRequest: 0,
  lostReply: 0,
  duplicate: 0,
  slow: 0,
  timeout: 0,
};

/** A signature is refused after this time, in milliseconds. */
const signatureLife = 5 * 60_000;
/** How long a client token is remembered. */
const tokenLife = 10 * 60_000;
/** No transaction or query stays half done for longer than this, in milliseconds. */
const longestHalf = 1500;

type Table = Map<string, Map<string, Item>>;

/** The history of the tables, for the checks. It keeps what expires. */
export interface Witness {
  /** An item was put, replaced or (undefined) deleted by a request; not by expiry. */
  wrote(table: string, key: Item, item: Item | undefined, before: Item | undefined): void;
  queried(process: Process, table: string, step: number): void;
  /** A process sends a transaction; whether and when it is delivered does not matter here. */
  sent(token: string | undefined, writes: TransactWriteItem[]): void;
}

interface Transaction {
  todo: { table: string; key: Item; item: Item | undefined }[];
  locks: string[];
  since: number;
  done: () => void;
}

/** Carries out a request. Returns its answer or throws. */
type Execute<T> = (reply: (answer: () => T) => void) => void;

class Refusal extends Error {
  constructor(name: string, details: object = {}) {
    super(name);
    this.name = name;
    Object.assign(this, details);
  }
}

/**
 * A double of DynamoDB under failures: requests wait, get lost, arrive twice or too late, conflict and are throttled;
 * transactions become visible item by item; a query reads its page in two halves; expired items disappear at any time.
 * Conditions, updates and key conditions are evaluated as they are written.
 */
export class Double {
  readonly #world: Stage;
  readonly #weather: Weather;
  readonly #witness: Witness;
  readonly #tables = new Map<string, Table>();
  readonly #sortKeys: Record<string, string>;
  readonly #tokens = new Map<string, Transaction>();
  readonly #locks = new Map<string, Transaction>();
  readonly #halves = new Set<() => void>();
  readonly #open = new Set<Transaction>();

  constructor(world: Stage, sortKeys: Record<string, string>, weather: Weather, witness: Witness) {
    this.#world = world;
    this.#sortKeys = sortKeys;
    this.#weather = weather;
    this.#witness = witness;
    world.beforeJump = (milliseconds) => {
      if (milliseconds > longestHalf) this.finishHalves();
    };
  }

  /** The tables for one process. */
  clientOf(process: Process): Dynamo {
    const request = <T>(execute: Execute<T>) => this.#request(process, execute);
    const atOnce =
      <T>(execute: () => T): Execute<T> =>
      (reply) => {
        try {
          const value = execute();
          reply(() => value);
        } catch (error) {
          reply(() => {
            throw error;
          });
        }
      };
    return {
      get: (input) => request(atOnce(() => this.#get(input))),
      batchGet: (input) =>
        request(
          atOnce(() => {
            const Responses: Record<string, Item[]> = {};
            for (const [table, { Keys = [] }] of Object.entries(input.RequestItems ?? {}))
              Responses[table] = Keys.map((Key) => this.#get({ TableName: table, Key }).Item).filter(
                (item) => item !== undefined,
              );
            return { Responses };
          }),
        ),
      query: (input) => request((reply) => this.#query(process, input, reply)),
      scan: (input) =>
        request(
          atOnce(() => ({
            Items: [...this.#table(input.TableName!).values()]
              .flatMap((partition) => [...partition.values()])
              .filter((item) => meets(input.FilterExpression, item, input.ExpressionAttributeValues)),
          })),
        ),
      put: (input) => request(atOnce(() => this.#single({ Put: input as never }))),
      update: (input) => request(atOnce(() => this.#single({ Update: input as never }))),
      transact: (input) => {
        this.#witness.sent(input.ClientRequestToken, input.TransactItems!);
        return request<unknown>((reply) => {
          this.#transact(input.TransactItems!, input.ClientRequestToken, (error) =>
            reply(() => {
              if (error) throw error;
              return {};
            }),
          );
        });
      },
    };
  }

  /** Deletes some expired items. */
  expire(probability: number): void {
    const now = this.#world.now / 1000;
    for (const [name, table] of this.#tables)
      for (const [partition, items] of table)
        for (const [sort, item] of items) {
          const isLocked = this.#locks.has(`${name} ${partition} ${sort}`);
          if (
            Number(item["e"]?.N ?? Number.POSITIVE_INFINITY) < now &&
            !isLocked &&
            this.#world.dice.chance(probability)
          )
            items.delete(sort);
        }
  }

  /** Completes open transactions and queries. */
  finishHalves(): void {
    for (const transaction of [...this.#open]) while (this.#open.has(transaction)) this.#applyOne(transaction);
    for (const half of [...this.#halves]) half();
  }

  items(table: string): Item[] {
    return [...this.#table(table).values()].flatMap((partition) => [...partition.values()]);
  }

  remove(table: string, item: Item): void {
    this.#table(table).get(item["p"]!.S!)?.delete(this.#sortOf(table, item));
  }

  replace(table: string, item: Item): void {
    this.#put(table, item, item);
  }

  #request<T>(process: Process, execute: Execute<T>): Promise<T> {
    const { dice, now } = this.#world;
    const weather = this.#weather;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const answer = (result: () => T) =>
      this.#world.post(process, () => {
        try {
          resolve(result());
        } catch (error) {
          reject(error);
        }
      });
    const unknown = () => {
      throw new Refusal("TimeoutError");
    };
    const deliver = (reply: (result: () => T) => void) => {
      if (this.#world.now - now > signatureLife) reply(unknown);
      else if (dice.chance(weather.throttle))
        reply(() => {
          throw new Refusal("ThrottlingException");
        });
      else execute(reply);
    };
    const isSlow = dice.chance(weather.slow);
    const isLost = dice.chance(weather.lostReply);
    if (dice.chance(weather.lostRequest)) answer(unknown);
    else this.#world.post(undefined, () => deliver(isLost ? () => answer(unknown) : answer), { isSlow });
    if (dice.chance(weather.duplicate)) this.#world.post(undefined, () => deliver(() => {}), { isSlow: true });
    if (dice.chance(weather.timeout)) answer(unknown);
    return promise;
  }

  #table(name: string): Table {
    const found = this.#tables.get(name);
    if (found) return found;
    const made: Table = new Map();
    this.#tables.set(name, made);
    return made;
  }

  #sortOf(table: string, key: Item): string {
    const attribute = key[this.#sortKeys[table]!]!;
    return attribute.N ?? attribute.S!;
  }

  #lockOf(table: string, key: Item): string {
    return `${table} ${key["p"]!.S} ${this.#sortOf(table, key)}`;
  }

  #get({ TableName, Key }: GetItemInput): { Item?: Item } {
    const Item = this.#table(TableName!).get(Key!["p"]!.S!)?.get(this.#sortOf(TableName!, Key!));
    return Item ? { Item } : {};
  }

  #put(table: string, key: Item, item: Item | undefined): void {
    const partitions = this.#table(table);
    const partition = partitions.get(key["p"]!.S!) ?? new Map<string, Item>();
    partitions.set(key["p"]!.S!, partition);
    if (item) partition.set(this.#sortOf(table, key), item);
    else partition.delete(this.#sortOf(table, key));
  }

  #write(table: string, key: Item, item: Item | undefined): void {
    const before = this.#get({ TableName: table, Key: key }).Item;
    this.#put(table, key, item);
    this.#witness.wrote(table, key, item, before);
  }

  #query(
    process: Process,
    input: QueryInput,
    reply: (answer: () => { Items: Item[]; LastEvaluatedKey?: Item }) => void,
  ) {
    const table = input.TableName!;
    const sort = this.#sortKeys[table]!;
    const values = input.ExpressionAttributeValues ?? {};
    const start = input.ExclusiveStartKey?.[sort];
    const read = () => {
      const partition = this.#table(table).get(values[":p"]!.S!) ?? new Map<string, Item>();
      return [...partition.values()]
        .filter((item) => meets(input.KeyConditionExpression, item, values))
        .filter((item) => !start || compareValues(item[sort]!, start) > 0)
        .sort((a, b) => compareValues(a[sort]!, b[sort]!));
    };
    // A page is read item by item: changes are visible in the items that have not been read yet.
    const first = read();
    const cut = first[this.#world.dice.below(first.length + 1)]?.[sort];
    let isOver = false;
    const half = () => {
      if (isOver) return;
      isOver = true;
      this.#halves.delete(half);
      const isBefore = (item: Item) => !cut || compareValues(item[sort]!, cut) < 0;
      const items = [...first.filter(isBefore), ...(cut ? read().filter((item) => !isBefore(item)) : [])];
      const limit = input.Limit ?? Number.POSITIVE_INFINITY;
      const page = items.slice(0, limit);
      const last = page.at(-1);
      const isCut = last !== undefined && items.length >= limit;
      const { step } = this.#world;
      reply(() => {
        // Only answers that the process receives: another copy of the request may be answered too.
        this.#witness.queried(process, table, step);
        return { Items: page, ...(isCut ? { LastEvaluatedKey: { p: last["p"]!, [sort]: last[sort]! } } : {}) };
      });
    };
    this.#halves.add(half);
    this.#world.post(undefined, half);
  }

  /** One item by itself; throws as DynamoDB does. */
  #single(write: TransactWriteItem): { Attributes?: Item } {
    const change = this.#changeOf(write);
    if (this.#locks.has(this.#lockOf(change.table, change.key))) throw new Refusal("TransactionConflictException");
    if (!change.holds) {
      const wantsItem = change.wantsItem && change.before;
      throw new Refusal("ConditionalCheckFailedException", wantsItem ? { Item: change.before } : {});
    }
    this.#write(change.table, change.key, change.item);
    return change.item ? { Attributes: change.item } : {};
  }

  #changeOf({ Put, Update, Delete }: TransactWriteItem) {
    const input = (Put ?? Update ?? Delete)!;
    const table = input.TableName!;
    const key = Put ? (Put as PutItemInput).Item! : (Update ?? Delete)!.Key!;
    const before = this.#get({ TableName: table, Key: key }).Item;
    const values = input.ExpressionAttributeValues ?? {};
    let item: Item | undefined = Put?.Item;
    const holds = meets(input.ConditionExpression, before, values);
    if (Update && holds) item = updated(Update.UpdateExpression!, key, before, values);
    return { table, key, before, item, holds, wantsItem: input.ReturnValuesOnConditionCheckFailure === "ALL_OLD" };
  }

  #transact(writes: TransactWriteItem[], token: string | undefined, done: (error?: Error) => void): void {
    const known = this.#tokens.get(token ?? "");
    if (known && this.#world.now - known.since < tokenLife) {
      done(this.#open.has(known) ? new Refusal("TransactionInProgressException") : undefined);
      return;
    }
    const changes = writes.map((write) => this.#changeOf(write));
    const locks = changes.map((change) => this.#lockOf(change.table, change.key));
    const collides = this.#world.dice.chance(this.#weather.conflict) ? this.#world.dice.below(changes.length) : -1;
    const reasons = changes.map(({ holds, wantsItem, before }, index) => {
      if (this.#locks.has(locks[index]!)) return { Code: "TransactionConflict" };
      if (holds) return { Code: index === collides ? "TransactionConflict" : "None" };
      return { Code: "ConditionalCheckFailed", ...(wantsItem && before ? { Item: before } : {}) };
    });
    if (reasons.some(({ Code }) => Code !== "None")) {
      done(new Refusal("TransactionCanceledException", { CancellationReasons: reasons }));
      return;
    }
    const todo = changes.map(({ table, key, item }) => ({ table, key, item }));
    const transaction = { todo, locks, since: this.#world.now, done: () => done() };
    if (token !== undefined) this.#tokens.set(token, transaction);
    for (const lock of locks) this.#locks.set(lock, transaction);
    this.#open.add(transaction);
    this.#applyLater(transaction);
  }

  #applyLater(transaction: Transaction): void {
    this.#world.post(undefined, () => {
      if (!this.#open.has(transaction)) return;
      this.#applyOne(transaction);
      while (this.#open.has(transaction) && this.#world.now - transaction.since > longestHalf)
        this.#applyOne(transaction);
      if (this.#open.has(transaction)) this.#applyLater(transaction);
    });
  }

  #applyOne(transaction: Transaction): void {
    const [{ table, key, item }] = transaction.todo.splice(this.#world.dice.below(transaction.todo.length), 1) as [
      Transaction["todo"][number],
    ];
    this.#write(table, key, item);
    if (transaction.todo.length > 0) return;
    for (const lock of transaction.locks) this.#locks.delete(lock);
    this.#open.delete(transaction);
    transaction.done();
  }
}
