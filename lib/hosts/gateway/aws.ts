import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { SQSClient } from "@aws-sdk/client-sqs";
import type { Clock, Log, Random } from "#base";
import { logShards } from "#controlplane";
import { type FifoQueue, sqsQueue } from "#reconcile/sqs";
import type { Change } from "#store";
import { type DynamoStore, dynamoClient, dynamoStore } from "#store/dynamo";
import type { Environment } from "./environment.ts";

/** The services that the gateway uses. */
export interface Services {
  store: DynamoStore;
  queues: { reconcile: FifoQueue; schedule: FifoQueue; fargate: FifoQueue };
  /** The ring of signing keys. */
  ring(): Promise<string>;
}

export interface ServiceOptions {
  environment: Environment;
  clock: Clock;
  random: Random;
  log: Log;
  /** Called with the changes of this process's writes, before they resolve. */
  onCommit: (type: string, changes: Change[]) => Promise<void>;
}

/** Opens the services with the machine's credentials. */
export function services({ environment, clock, random, log, onCommit }: ServiceOptions): Services {
  const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
  const secrets = new SecretsManagerClient();
  return {
    store: dynamoStore({
      dynamo: dynamoClient({}),
      tables: { objects: environment.SKIFF_OBJECTS_TABLE, changes: environment.SKIFF_CHANGES_TABLE },
      shards: logShards,
      clock,
      random,
      log,
      onCommit,
    }),
    queues: {
      reconcile: sqsQueue(sqs, environment.SKIFF_RECONCILE_QUEUE_URL, clock),
      schedule: sqsQueue(sqs, environment.SKIFF_SCHEDULE_QUEUE_URL, clock),
      fargate: sqsQueue(sqs, environment.SKIFF_FARGATE_QUEUE_URL, clock),
    },
    async ring() {
      const { SecretString = "" } = await secrets.send(
        new GetSecretValueCommand({ SecretId: environment.SKIFF_SIGNING_SECRET_ARN }),
      );
      return SecretString;
    },
  };
}
