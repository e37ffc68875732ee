/**
 * The store in two DynamoDB tables: tickets from a counter, one transaction per batch, a log whose holes are filled by
 * the readers and writers that find them. It waits for no stream, relies on no expiry, and retries only idempotent
 * requests. The deployment creates the tables of `tables`; `dynamoClient` is the only client that keeps to the rules.
 */
import { type DynamoOptions, type DynamoStore, openDynamo } from "./dynamo.ts";
import { allRules } from "./rules.ts";

export { type Dynamo, dynamoClient, type Item } from "./client.ts";
export type { DynamoOptions, DynamoStore, Streamed } from "./dynamo.ts";
export type { LogPosition, Restored } from "./restore.ts";
export { type TableDefinition, type TableNames, tables } from "./tables.ts";

/** A store over existing tables. It holds no connection besides the client's. */
export const dynamoStore = (options: DynamoOptions): DynamoStore => openDynamo(options, allRules);
