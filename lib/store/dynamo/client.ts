import {
  type AttributeValue,
  BatchGetItemCommand,
  type BatchGetItemInput,
  type CancellationReason,
  DynamoDBClient,
  type DynamoDBClientConfig,
  GetItemCommand,
  type GetItemInput,
  PutItemCommand,
  type PutItemInput,
  QueryCommand,
  type QueryInput,
  ScanCommand,
  type ScanInput,
  TransactWriteItemsCommand,
  type TransactWriteItemsInput,
  UpdateItemCommand,
  type UpdateItemInput,
} from "@aws-sdk/client-dynamodb";

export type Item = Record<string, AttributeValue>;

/** The calls of the driver, each one request, without retries. */
export interface Dynamo {
  get(input: GetItemInput): Promise<{ Item?: Item | undefined }>;
  batchGet(input: BatchGetItemInput): Promise<{
    Responses?: Record<string, Item[]> | undefined;
    UnprocessedKeys?: BatchGetItemInput["RequestItems"] | undefined;
  }>;
  query(input: QueryInput): Promise<{ Items?: Item[] | undefined; LastEvaluatedKey?: Item | undefined }>;
  scan(input: ScanInput): Promise<{ Items?: Item[] | undefined; LastEvaluatedKey?: Item | undefined }>;
  put(input: PutItemInput): Promise<unknown>;
  update(input: UpdateItemInput): Promise<{ Attributes?: Item | undefined }>;
  transact(input: TransactWriteItemsInput): Promise<unknown>;
}

/** The SDK's client without retries: the protocol must know of every request. */
export function dynamoClient(config: DynamoDBClientConfig): Dynamo {
  const client = new DynamoDBClient({
    requestHandler: { connectionTimeout: 1000, requestTimeout: 3000, throwOnRequestTimeout: true },
    ...config,
    maxAttempts: 1,
  });
  return {
    get: (input) => client.send(new GetItemCommand(input)),
    batchGet: (input) => client.send(new BatchGetItemCommand(input)),
    query: (input) => client.send(new QueryCommand(input)),
    scan: (input) => client.send(new ScanCommand(input)),
    put: (input) => client.send(new PutItemCommand(input)),
    update: (input) => client.send(new UpdateItemCommand(input)),
    transact: (input) => client.send(new TransactWriteItemsCommand(input)),
  };
}

/**
 * What an error means for its request. `condition`: it did nothing, since a condition failed. `cancelled`: the
 * transaction did nothing, for the reasons given. `again`: it did nothing and may be sent again as it is. `refused`: it
 * did nothing and never will. `unknown`: it may have been carried out, or may still be.
 */
export type Failure =
  | { kind: "condition"; item: Item | undefined }
  | { kind: "cancelled"; reasons: CancellationReason[] }
  | { kind: "again" }
  | { kind: "refused" }
  | { kind: "unknown" };

const again = new Set([
  "TransactionConflictException",
  "TransactionInProgressException",
  "ThrottlingException",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "ReplicatedWriteConflictException",
]);
const refused = new Set([
  "ValidationException",
  "AccessDeniedException",
  "ResourceNotFoundException",
  "UnrecognizedClientException",
  "MissingAuthenticationTokenException",
  "InvalidSignatureException",
  "ExpiredTokenException",
  "ItemCollectionSizeLimitExceededException",
  "IdempotentParameterMismatchException",
]);

export function failureOf(error: unknown): Failure {
  const name = error instanceof Error ? error.name : "";
  const details = error as { Item?: Item; CancellationReasons?: CancellationReason[] };
  if (name === "ConditionalCheckFailedException") return { kind: "condition", item: details.Item };
  if (name === "TransactionCanceledException") return { kind: "cancelled", reasons: details.CancellationReasons ?? [] };
  if (again.has(name)) return { kind: "again" };
  if (refused.has(name)) return { kind: "refused" };
  return { kind: "unknown" };
}
