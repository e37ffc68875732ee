/**
 * The store in two DynamoDB tables: tickets from a counter, one transaction per batch, a log whose holes are filled
 * by whoever meets them. Nothing here waits for a stream, trusts an expiry, or retries what it has not thought about.
 * `tables` is what the deployment must make; `dynamoClient` is the only way to a client that keeps to the rules.
 */
import { type DynamoOptions, type DynamoStore, openDynamo } from "./dynamo.ts";
import { allRules } from "./rules.ts";

export { type Dynamo, dynamoClient, type Item } from "./client.ts";
export type { DynamoOptions, DynamoStore, Streamed } from "./dynamo.ts";
export type { LogPosition, Restored } from "./restore.ts";
export { type TableDefinition, type TableNames, tables } from "./tables.ts";

/** A store over tables that are there. It holds no connection of its own besides the client's. */
export const dynamoStore = (options: DynamoOptions): DynamoStore => openDynamo(options, allRules);
