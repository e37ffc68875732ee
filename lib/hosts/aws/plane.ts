import { AsyncLocalStorage } from "node:async_hooks";
import { rootCertificates } from "node:tls";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SQSClient } from "@aws-sdk/client-sqs";
import { pods } from "#api";
import { systemClock, systemRandom } from "#base";
import type { Cloud } from "#cloud";
import { ControlPlane, type ControlPlaneOptions, logShards } from "#controlplane";
import { fargateWork, isFargateNode, type PodEvents } from "#fargate";
import { requiredVariable } from "#hosts/aws/environment";
import { type Announcer, announcer, type FifoQueue, sqsQueue } from "#reconcile/sqs";
import { type DynamoStore, dynamoClient, dynamoStore } from "#store/dynamo";
import { type Connections, dynamoConnections } from "./connections.ts";
import { lazily, once } from "./lazy.ts";
import { log } from "./log.ts";

/*
 * What every function has: the store, the queues that its writes wake, and a control plane. Each is made when it is
 * first asked for, once per process. What one function alone has stands in its own `ports.ts`.
 */

export const clock = systemClock;
export const random = systemRandom;

/** Agents send a heartbeat each 40 s, and nodes are looked at each minute. */
const nodeGrace = 100_000;

const work = new AsyncLocalStorage<{ hops: number; since: number }>();
/** Runs something whose writes come after so many hops. */
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

/** For the few rows that are no objects. */
export const dynamo = once(() => new DynamoDBClient({}));
export const objectsTable = (): string => requiredVariable("SKIFF_OBJECTS_TABLE");
export const connections = once((): Connections => dynamoConnections(dynamo(), objectsTable(), clock));

/** For the functions that only find out whom a change concerns: the controllers' worker has the cloud itself. */
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
      // Early, beside the stream, which tells of the same once more: what is lost here comes a moment later.
      onCommit: (type, changes) =>
        announce()
          .early(type, changes, hopsNow())
          .catch((error: unknown) => log.warn("keys could not be sent early", { type, error })),
    }),
);

/** Certificates of the authorities that AWS's endpoints have theirs from, as pods get them in kube-root-ca.crt. */
const authorities = once(() => rootCertificates.filter((pem) => isAmazon(pem)).join("\n"));
function isAmazon(pem: string): boolean {
  const text = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64").toString("latin1");
  return text.includes("Amazon") || text.includes("Starfield Services");
}

let plane: ControlPlane | undefined;
let announcing: Announcer | undefined;

/** The control plane of this function. The first call says how it differs from that of a worker. */
export function openPlane(differing?: () => Partial<ControlPlaneOptions>): ControlPlane {
  plane ??= new ControlPlane({
    store: store(),
    clock,
    random,
    log,
    serviceCidr: requiredVariable("SKIFF_SERVICE_CIDR"),
    podCidr: requiredVariable("SKIFF_POD_CIDR"),
    ca: authorities(),
    cloud: noCloud,
    caching: "on-demand",
    // What is done outside of any piece of work looks each time.
    since: () => work.getStore()?.since ?? Number.POSITIVE_INFINITY,
    // The Fargate node is no machine: it is there as long as the cluster is.
    nodes: { heard: async (node) => (isFargateNode(node) ? clock.now() : connections().heard(node)), grace: nodeGrace },
    ...differing?.(),
  });
  return plane;
}

/** Sends the keys that changes concern. */
export function announce(): Announcer {
  const seen: PodEvents = (change) => openPlane().resources.event(pods, change) as ReturnType<PodEvents>;
  announcing ??= announcer({
    router: openPlane().onDemand(),
    reconcile: reconcileQueue(),
    schedule: scheduleQueue(),
    tasks: { queue: fargateQueue(), workOf: (type, change) => fargateWork(type, change, seen) },
  });
  return announcing;
}
