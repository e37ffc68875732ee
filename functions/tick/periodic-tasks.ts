import { type Kind, nodes, type Pod, pods } from "#api";
import { isReason, messageOf } from "#base";
import type { ControlPlane } from "#controlplane";
import { fargateNode, work } from "#fargate";
import { clock, fargateQueue, log, reconcileQueue, scheduleQueue, store, tendKeys } from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";
import { decodeMessage, type Message, type Sent, sentOf, wakeScheduler } from "#reconcile/sqs";
import { deadLetters, dueIndex, issuer, signingRing } from "./ports.ts";

const minute = 60_000;
/**
 * Minutes between checks of the controllers' dead letters; those of the other queues are checked each hour, at a minute
 * of their own.
 */
const rearmEvery = 5;
const rearmAt = { schedule: 37, fargate: 7 };
/** Each type's log is shortened so often; all types together each hour. */
const hour = 60;
/** Minutes between runs in which every key of every controller is enqueued, in case a wake-up was lost. */
const resyncEvery = 12 * hour;
/** Minutes between maintenance of the signing keys, at a minute with little other work. */
const keysEvery = 6 * hour;
const keysAt = 17;

/** Runs every task that is due. A failed task does not stop the others; the first failure is thrown at the end. */
export async function runPeriodicTasks(
  plane: ControlPlane,
  { now, resync: isAsked }: { now: number; resync: boolean },
): Promise<void> {
  const count = Math.floor(now / minute);
  const todo: [string, () => Promise<unknown>][] = [
    ["due keys", () => sweepDue(Math.max(now, clock.now()))],
    ["looks at nodes", () => plane.onDemand().everyMinute()],
    ["compaction", () => compact(plane, count)],
  ];
  // Polling an empty queue costs as much as polling a full one.
  if (count % rearmEvery === 0) todo.push(["dead letters", () => rearm(plane, count)]);
  if (count % hour === rearmAt.fargate) todo.push(["dead letters of Fargate", () => rearmFargate(plane, count)]);
  if (count % hour === rearmAt.schedule) todo.push(["dead letters of the scheduler", () => rearmScheduler(count)]);
  if (isAsked || count % resyncEvery === 0) todo.push(["a resync", () => resync(plane, count)]);
  if (count % keysEvery === keysAt) {
    todo.push([
      "the signing keys",
      () =>
        tendKeys({ ring: signingRing(), publish: issuer().publish, issuer: requiredVariable("SKIFF_ISSUER"), clock }),
    ]);
  }
  const failed: string[] = [];
  for (const [what, go] of todo) {
    await go().catch((error: unknown) => failed.push(`${what}: ${messageOf(error)}`));
  }
  await plane.onDemand().settled();
  if (failed.length > 0) throw new Error(`the tick did not finish ${failed.join("; ")}`);
}

const isForFargate = ({ controller }: Message): boolean => Object.values(work).includes(controller);
const sweepDue = (now: number) =>
  dueIndex().sweep(now, async (messages) => {
    await fargateQueue().send(messages.filter(isForFargate).map(sentOf));
    await reconcileQueue().send(messages.filter((message) => !isForFargate(message)).map(sentOf));
  });

/** Enqueues keys again that failed too often, and records an Event for each. */
function rearm(plane: ControlPlane, count: number): Promise<void> {
  const { controllers } = plane.onDemand();
  return eachDead("RECONCILE", async (message, sent) => {
    const controller = controllers.find(({ name }) => name === message.controller);
    if (!controller) return false;
    const text = `The ${controller.name} controller failed too often in a row and is tried again.`;
    await recordFailure(plane, { kind: controller.for, message, text });
    await reconcileQueue().send([sent(count)]);
    return true;
  });
}

function rearmFargate(plane: ControlPlane, count: number): Promise<void> {
  return eachDead("FARGATE", async (message, sent) => {
    if (!isForFargate(message)) return false;
    const text = "Its Fargate task failed too often in a row and is tried again.";
    if (message.controller === work.pod) await recordFailure(plane, { kind: pods, message, text });
    await fargateQueue().send([sent(count)]);
    return true;
  });
}

/** The scheduler has one key, so one message is enough for any number of failures. */
async function rearmScheduler(count: number): Promise<void> {
  const dead = await deadLetters("SCHEDULE").receive();
  if (dead.length > 0) await scheduleQueue().send([wakeScheduler(`rearm@${count}`)]);
  for (const { receipt } of dead) await deadLetters("SCHEDULE").remove(receipt);
}

/** Reads a queue's dead letters, and deletes each after it was sent again or had no receiver. */
async function eachDead(
  queue: "RECONCILE" | "FARGATE",
  again: (message: Message, sent: (count: number) => Sent) => Promise<boolean>,
): Promise<void> {
  for (const { body, receipt } of await deadLetters(queue).receive()) {
    const message = decodeMessage(body);
    const sent = (count: number): Sent => sentOf({ ...message!, cause: `rearm@${count}`, hops: 0 });
    if (!message || !(await again(message, sent)))
      log.error("a dead letter without a receiver was deleted", { body: body.slice(0, 200) });
    await deadLetters(queue).remove(receipt);
  }
}

interface Failure {
  kind: Kind | undefined;
  message: Message;
  text: string;
}

/** Records an Event about the object of a key, if the key names one. */
async function recordFailure(plane: ControlPlane, { kind, message, text }: Failure): Promise<void> {
  if (!kind) return;
  const { key } = message;
  const { context } = plane.onDemand();
  const object = await context.client.get(kind, key).catch((error: unknown) => {
    if (!isReason(error, "NotFound")) throw error;
    return undefined;
  });
  if (object) context.record({ kind, object }, "Warning", "ReconcileFailed", text);
}

/** Types take turns, so that the work of a minute does not grow with their number. */
async function compact(plane: ControlPlane, count: number): Promise<void> {
  const types = plane.resources.registry.types.filter((_, place) => place % hour === count % hour);
  for (const type of types) await store().sweep(type);
}

/** Enqueues every key, and the scheduler's, in case a wake-up was lost. */
async function resync(plane: ControlPlane, count: number): Promise<void> {
  const keys = await plane.onDemand().everything();
  await reconcileQueue().send(keys.map((each) => sentOf({ ...each, cause: `resync@${count}`, hops: 0 })));
  await scheduleQueue().send([wakeScheduler(`resync@${count}`)]);
  const bound = { fields: [{ field: "spec.nodeName", equal: true, value: fargateNode }] };
  const { items } = await plane.client.list(pods, bound);
  const ofPod = ({ metadata: { namespace, name = "" } }: Pod): Sent =>
    sentOf({ controller: work.pod, key: { namespace, name }, cause: `resync@${count}`, hops: 0 });
  await fargateQueue().send(items.map(ofPod));
  if (!(await hasFargate(plane))) return;
  const definitions = { controller: work.definitions, key: { name: "unused" }, cause: `resync@${count}`, hops: 0 };
  await fargateQueue().send([sentOf(definitions)]);
}

/** Without the node no function reads its queue. */
async function hasFargate({ client }: ControlPlane): Promise<boolean> {
  const named = { fields: [{ field: "metadata.name", equal: true, value: fargateNode }] };
  return (await client.list(nodes, named)).items.length > 0;
}
