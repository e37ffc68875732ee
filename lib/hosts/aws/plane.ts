import { AsyncLocalStorage } from "node:async_hooks";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SQSClient } from "@aws-sdk/client-sqs";
import { systemClock, systemRandom } from "#base";
import type { Cloud } from "#cloud";
import { ControlPlane, type ControlPlaneOptions, logShards } from "#controlplane";
import { isFargateNode } from "#fargate";
import { enqueueEarly, planeAnnouncer } from "#hosts/aws/announcer";
import { trustedAuthorities } from "#hosts/aws/authority";
import { requiredVariable } from "#hosts/aws/environment";
import { type Announcer, type FifoQueue, sqsQueue } from "#reconcile/sqs";
import { type DynamoStore, dynamoClient, dynamoStore } from "#store/dynamo";
import { type Connections, DynamoConnections } from "./connections.ts";
import { lazily, once } from "./lazy.ts";
import { log } from "./log.ts";

/*
 * What every function has: the store, the queues of the functions that its writes wake, and a control plane. Each is
 * created on first use, once per process. What a single function has is in its own `ports.ts`.
 */

export const clock = systemClock;
export const random = systemRandom;

/** Milliseconds. Agents send a heartbeat every 40 s, and nodes are checked every minute. */
const nodeGrace = 100_000;

const work = new AsyncLocalStorage<{ hops: number; since: number }>();
/** Runs work whose writes are `count` hops away from the change that caused them. */
export const withHopCount = <T>(count: number, run: () => Promise<T>): Promise<T> =>
  work.run({ hops: count, since: clock.now() }, run);
const hopsNow = (): number => work.getStore()?.hops ?? 0;

export const sqs = once(() => new SQSClient({ useQueueUrlAsEndpoint: false }));
export const reconcileQueue = once(
  (): FifoQueue => sqsQueue(sqs(), requiredVariable("SKIFF_RECONCILE_QUEUE_URL"), clock),
);
export const scheduleQueue = once(
  (): FifoQueue => sqsQueue(sqs(), requiredVariable("SKIFF_SCHEDULE_QUEUE_URL"), clock),
);
export const fargateQueue = once((): FifoQueue => sqsQueue(sqs(), requiredVariable("SKIFF_FARGATE_QUEUE_URL"), clock));

/** The client for rows that are not objects. */
export const dynamo = once(() => new DynamoDBClient({}));
export const objectsTable = (): string => requiredVariable("SKIFF_OBJECTS_TABLE");
export const connections = once(
  (): Connections => new DynamoConnections({ dynamo: dynamo(), table: objectsTable(), clock }),
);

/** The cloud of all functions except the controllers' worker. */
const noCloud = lazily<Cloud>(() => Promise.reject(new Error("only the controllers' worker reaches the cloud")));

export const store = once(
  (): DynamoStore =>
    dynamoStore({
      dynamo: dynamoClient({}),
      tables: { objects: objectsTable(), changes: requiredVariable("SKIFF_CHANGES_TABLE") },
      clock,
      random,
      log,
      shards: logShards,
      hops: hopsNow,
      onCommit: enqueueEarly({ announcer: announce, log, hops: hopsNow }),
    }),
);

let plane: ControlPlane | undefined;

/** The control plane of this function. The first call sets how its options differ from a worker's. */
export function openPlane(differing?: () => Partial<ControlPlaneOptions>): ControlPlane {
  plane ??= new ControlPlane({
    store: store(),
    clock,
    random,
    log,
    serviceCidr: requiredVariable("SKIFF_SERVICE_CIDR"),
    podCidr: requiredVariable("SKIFF_POD_CIDR"),
    ca: trustedAuthorities,
    cloud: noCloud,
    caching: "on-demand",
    // Reads outside of any work always read the log's head.
    since: () => work.getStore()?.since ?? Number.POSITIVE_INFINITY,
    // The Fargate node is not a machine: it is alive as long as the cluster exists.
    nodes: {
      lastHeartbeat: async (node) => (isFargateNode(node) ? clock.now() : connections().heard(node)),
      grace: nodeGrace,
    },
    ...differing?.(),
  });
  return plane;
}

/** Enqueues the keys that changes concern. */
export const announce = once(
  (): Announcer =>
    planeAnnouncer(openPlane(), {
      reconcile: reconcileQueue(),
      schedule: scheduleQueue(),
      fargate: fargateQueue(),
    }),
);
