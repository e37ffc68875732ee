import { type Kind, type KubernetesObject, storageOf } from "#api/meta";
import { type Clock, type Log, type Random, sleep } from "#base";
import type { Client, WatchEvent, WatchRequest } from "#client";
import type { Hints, Subscription, Watch } from "./hints.ts";

export interface HintedOptions {
  hints: Hints;
  clock: Clock;
  random: Random;
  log: Log;
}

/**
 * Reads without a hint, in case one was lost: soon after a change, and rarely at rest. A connection to which hints
 * cannot be delivered is closed, and its agent reads when it has reconnected, as it does every two hours; reading
 * every five minutes would cost more than all heartbeats.
 */
const pollMilliseconds = { first: 2 * 60_000, longest: 120 * 60_000 };
/** While no hints can arrive. */
const disconnectedPollMilliseconds = 15_000;
/** A hint may arrive before its change can be read. */
const earlyHints = { reads: 5, firstPauseMilliseconds: 200 };

/**
 * The same client with watches that hold no connection open: each is a series of short watches. The next begins where
 * the last one ended, when a hint says that there is more, and now and then without one. `client` must end its watches
 * early by itself, with a bookmark (`watchSeconds`). Events are the same; they may be later.
 */
export function hintedClient<C extends Client>(client: C, options: HintedOptions): C {
  return {
    ...client,
    watch: <T extends KubernetesObject>(kind: Kind<T>, request: WatchRequest) =>
      hintedWatch({ client, kind, request }, options),
  };
}

interface HintedWatch<T extends KubernetesObject> {
  client: Client;
  kind: Kind<T>;
  request: WatchRequest;
}

async function* hintedWatch<T extends KubernetesObject>(
  { client, kind, request }: HintedWatch<T>,
  options: HintedOptions,
): AsyncGenerator<WatchEvent<T>> {
  const { signal } = request;
  const subscription = options.hints.follow(watchOf(kind, request));
  let { revision } = request;
  let pause = pollMilliseconds.first;
  /** Reads in a row that did not find what was hinted. */
  let early = 0;
  try {
    while (!signal.aborted) {
      for await (const event of client.watch(kind, { ...request, ...(revision === undefined ? {} : { revision }) })) {
        yield event;
        if (event.type === "BOOKMARK") ({ revision } = event);
        else {
          if (revision !== undefined) revision = event.object.metadata.resourceVersion ?? revision;
          pause = pollMilliseconds.first;
        }
      }
      if (signal.aborted) return;
      if (revision === undefined) throw new Error("a watch ended before it had delivered the existing objects");
      early = subscription.hinted > Number(revision) ? early + 1 : 0;
      if (early > earlyHints.reads) {
        options.log.debug("a hint led nowhere", { kind: kind.kind, hinted: subscription.hinted, revision });
        subscription.reset();
      }
      if (subscription.hinted > Number(revision)) {
        await sleep(options.clock, earlyHints.firstPauseMilliseconds * 2 ** (early - 1), signal);
      } else pause = await untilMoved(subscription, { revision: Number(revision), pause, signal }, options);
    }
  } finally {
    subscription.close();
  }
}

export interface Wait {
  /** The revision that has been read. */
  revision: number;
  /** Milliseconds until the next read without a hint. */
  pause: number;
  signal: AbortSignal;
}

/** Resolves when there is a reason to read, with the next `pause` if that read finds nothing. */
export async function untilMoved(
  subscription: Subscription,
  { revision, pause, signal }: Wait,
  { hints, clock, random }: Omit<HintedOptions, "log">,
): Promise<number> {
  const started = clock.now();
  const isConnected = hints.connected;
  const milliseconds = (isConnected ? pause : disconnectedPollMilliseconds) * (0.75 + random.fraction() / 2);
  await subscription.moved(revision, milliseconds, signal);
  const isPoll = isConnected && clock.now() - started >= milliseconds;
  return isPoll ? Math.min(pause * 2, pollMilliseconds.longest) : pause;
}

/** A watch that covers at least what the request selects. */
function watchOf<T extends KubernetesObject>(kind: Kind<T>, { namespace, fields = [] }: WatchRequest): Watch {
  // Names and namespaces are not fields of the log.
  const known = fields.filter(({ field, equal }) => equal && kind.fields?.[field] !== undefined);
  const equal = known.map(({ field, value }) => [field, value] as const);
  return {
    type: storageOf(kind),
    ...(namespace === undefined ? {} : { namespace }),
    ...(equal.length > 0 ? { fields: Object.fromEntries(equal) } : {}),
  };
}
