/**
 * From the environment to ports, once per cold start. The only file here that names a driver; each function takes
 * from it what it needs, and its bundle holds no more.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { rootCertificates } from "node:tls";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { ECSClient } from "@aws-sdk/client-ecs";
import { S3Client } from "@aws-sdk/client-s3";
import { SFNClient } from "@aws-sdk/client-sfn";
import { SQSClient } from "@aws-sdk/client-sqs";
import { pods } from "#api";
import type { WatchPlaces } from "#apiserver";
import { askSts, type Sts } from "#auth/aws-iam";
import type { RingStore } from "#auth/service-account";
import { systemClock, systemRandom } from "#base";
import type { Cloud } from "#cloud";
import { type ControlPlane, type ControlPlaneOptions, controlPlane, logShards } from "#controlplane";
import { fargateWork, isFargateNode, type PodEvents } from "#fargate";
import { ecsTasks, type Tasks } from "#fargate/kubelet";
import {
  type Announcer,
  announcer,
  type DueIndex,
  dynamoDueIndex,
  type FifoQueue,
  type Later,
  sqsQueue,
  timers,
} from "#reconcile/sqs";
import { type DynamoStore, dynamoClient, dynamoStore } from "#store/dynamo";
import { watchPlaces } from "./api/watch-places.ts";
import { type Connections, dynamoConnections } from "./connections.ts";
import { told, type Variable } from "./environment.ts";
import { takeFence } from "./fence.ts";
import { agentHints, type Hints } from "./hints.ts";
import { log } from "./log.ts";
import { type Push, pushBy, type Speaker } from "./push.ts";
import { dynamoRelays, type Relays } from "./relays.ts";
import { type Issuer, issuerBucket } from "./signing.ts";

export const clock = systemClock;
export const random = systemRandom;

/** Agents are heard each 40 s, and looked at each minute. */
const nodeGrace = 100_000;

const work = new AsyncLocalStorage<{ hops: number; since: number }>();
/** Runs something whose writes come after so many hops. */
export const hopping = <T>(count: number, run: () => Promise<T>): Promise<T> =>
  work.run({ hops: count, since: clock.now() }, run);
const hopsNow = (): number => work.getStore()?.hops ?? 0;

const once = <T>(make: () => T): (() => T) => {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};

/** A port whose code is loaded when it is first used: a cold function pays for what it touches. */
export function lazily<Port extends object>(open: () => Promise<Port>): Port {
  const opened = once(open);
  const method =
    (name: keyof Port) =>
    async (...asked: unknown[]) =>
      ((await opened())[name] as (...asked: unknown[]) => unknown)(...asked);
  return new Proxy({} as Port, { get: (_port, name) => method(name as keyof Port) });
}

const sqs = once(() => new SQSClient({ useQueueUrlAsEndpoint: false }));
export const reconcileQueue = once((): FifoQueue => sqsQueue(sqs(), told("SKIFF_RECONCILE_QUEUE_URL"), clock));
export const scheduleQueue = once((): FifoQueue => sqsQueue(sqs(), told("SKIFF_SCHEDULE_QUEUE_URL"), clock));
export const fargateQueue = once((): FifoQueue => sqsQueue(sqs(), told("SKIFF_FARGATE_QUEUE_URL"), clock));
export const deadLetters = (queue: "RECONCILE" | "SCHEDULE" | "FARGATE"): FifoQueue =>
  sqsQueue(sqs(), told(`SKIFF_${queue}_DEAD_LETTER_QUEUE_URL`), clock);

/** For the few rows that are no objects. */
const dynamo = once(() => new DynamoDBClient({}));
export const dueIndex = once((): DueIndex => dynamoDueIndex(dynamo(), told("SKIFF_OBJECTS_TABLE")));
export const fence = (): Promise<() => Promise<void>> => takeFence(dynamo(), told("SKIFF_OBJECTS_TABLE"));

export const connections = once((): Connections => dynamoConnections(dynamo(), told("SKIFF_OBJECTS_TABLE"), clock));
const speaker = once(
  (): Speaker => lazily(async () => (await import("./speaker.ts")).speakerAt(told("SKIFF_LINK_URL"))),
);
/** Tells agents by the WebSocket API. */
export const hints = once((): Hints => agentHints(connections(), speaker(), { clock, log }));
/** Says something to one who is connected. */
export const push = /* @__PURE__ */ once((): Push => pushBy(speaker(), log));
/** Requests that run between clients and agents. */
export const relays = /* @__PURE__ */ once(
  (): Relays => dynamoRelays(dynamo(), told("SKIFF_OBJECTS_TABLE"), clock, random),
);

/** Places for watches; only one function holds any. */
export const places = /* @__PURE__ */ once(
  (): WatchPlaces =>
    watchPlaces({
      dynamo: dynamo(),
      table: told("SKIFF_OBJECTS_TABLE"),
      limit: Number(told("SKIFF_WATCHES")),
      ...{ clock, random, log },
    }),
);

const wakes = (queue: () => FifoQueue, url: Variable) =>
  once(
    (): Later =>
      timers({
        sfn: new SFNClient({}),
        machine: told("SKIFF_WAIT_ARN"),
        queue: queue(),
        queueUrl: told(url),
        due: dueIndex(),
        clock,
      }),
  );
/** Wakes keys of the queue `reconcile` later. */
export const later = /* @__PURE__ */ wakes(reconcileQueue, "SKIFF_RECONCILE_QUEUE_URL");
/** Wakes keys of the queue `fargate` later. */
export const laterOnFargate = /* @__PURE__ */ wakes(fargateQueue, "SKIFF_FARGATE_QUEUE_URL");

/** For those who only find out whom a change concerns: the controllers' worker has the cloud itself. */
const elsewhere = lazily<Cloud>(() => Promise.reject(new Error("only the controllers' worker reaches the cloud")));

/** Tasks of pods. Only one function has to do with them: the others' bundles do without. */
export const tasks = /* @__PURE__ */ once(
  (): Tasks =>
    ecsTasks({
      ecs: new ECSClient({ maxAttempts: 2 }),
      cluster: told("SKIFF_ECS_CLUSTER"),
      subnets: told("SKIFF_SUBNETS").split(","),
      securityGroups: told("SKIFF_SECURITY_GROUPS").split(","),
      random,
    }),
);

export const store = once(
  (): DynamoStore =>
    dynamoStore({
      dynamo: dynamoClient({}),
      tables: { objects: told("SKIFF_OBJECTS_TABLE"), changes: told("SKIFF_CHANGES_TABLE") },
      clock,
      random,
      log,
      shards: logShards,
      hops: hopsNow,
      // Early, beside the stream, which tells of the same once more: what is lost here comes a moment later.
      made: (type, changes) =>
        announce()
          .early(type, changes, hopsNow())
          .catch((error: unknown) => log.warn("keys could not be sent early", { type, error })),
    }),
);

/** The keys that sign tokens, where they are kept and where they are shown; the other bundles do without. */
export const signingRing = /* @__PURE__ */ once(
  (): RingStore => lazily(async () => (await import("./secret-ring.ts")).secretRing(told("SKIFF_SIGNING_SECRET_ARN"))),
);
export const issuer = /* @__PURE__ */ once((): Issuer => issuerBucket(new S3Client({}), told("SKIFF_OIDC_BUCKET")));

/** Where AWS_ENDPOINT_URL_STS says, if it does. */
export const sts: Sts = askSts(process.env["AWS_ENDPOINT_URL_STS"]);

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
  plane ??= controlPlane({
    store: store(),
    clock,
    random,
    log,
    serviceCidr: told("SKIFF_SERVICE_CIDR"),
    podCidr: told("SKIFF_POD_CIDR"),
    ca: authorities(),
    cloud: elsewhere,
    caching: "on-demand",
    // What is done outside of any piece of work looks each time.
    since: () => work.getStore()?.since ?? Number.POSITIVE_INFINITY,
    // The Fargate node is no machine: it is there as long as the cluster is.
    nodes: { heard: async (node) => (isFargateNode(node) ? clock.now() : connections().heard(node)), grace: nodeGrace },
    ...differing?.(),
  });
  return plane;
}

/** Tells those who wait of what has changed. */
export function announce(): Announcer {
  const seen: PodEvents = (change) => openPlane().server.event(pods, change) as ReturnType<PodEvents>;
  announcing ??= announcer({
    demand: openPlane().onDemand(),
    reconcile: reconcileQueue(),
    schedule: scheduleQueue(),
    tasks: { queue: fargateQueue(), workOf: (type, change) => fargateWork(type, change, seen) },
  });
  return announcing;
}
