import { type Kind, type KubernetesObject, storageOf } from "#api/meta";
import { type Clock, type Log, type Random, sleep } from "#base";
import type { Client, WatchEvent, WatchRequest } from "#client";
import type { Hints, Interest, Watch } from "./hints.ts";

export interface HintedOptions {
  hints: Hints;
  clock: Clock;
  random: Random;
  log: Log;
}

/**
 * A look that nothing asked for, in case a hint was lost: so soon after something came, and so rarely at rest. Who
 * cannot be told is cut off and looks when it is back, as after every connection's two hours; looking each five minutes
 * would cost more than all heartbeats.
 */
const slowPoll = { first: 2 * 60_000, longest: 120 * 60_000 };
/** While no hints can come. */
const blindPoll = 15_000;
/** A hint may come before what it tells of can be read. */
const early = { looks: 5, firstPause: 200 };

/**
 * The same client with watches that hold nothing open: each is a short watch from where the last one ended, when a
 * hint says that there is more, and now and then without one. `client` must end its watches early by itself, with a
 * bookmark (`watchSeconds`). Whoever watches sees no difference but in time.
 */
export function hintedClient<C extends Client>(client: C, options: HintedOptions): C {
  return {
    ...client,
    watch: <T extends KubernetesObject>(kind: Kind<T>, request: WatchRequest) =>
      hintedWatch(client, kind, request, options),
  };
}

async function* hintedWatch<T extends KubernetesObject>(
  client: Client,
  kind: Kind<T>,
  request: WatchRequest,
  options: HintedOptions,
): AsyncGenerator<WatchEvent<T>> {
  const { signal } = request;
  const interest = options.hints.follow(watchOf(kind, request));
  let { revision } = request;
  let pause = slowPoll.first;
  let fruitless = 0;
  try {
    while (!signal.aborted) {
      for await (const event of client.watch(kind, { ...request, ...(revision === undefined ? {} : { revision }) })) {
        yield event;
        if (event.type === "BOOKMARK") ({ revision } = event);
        else {
          if (revision !== undefined) revision = event.object.metadata.resourceVersion ?? revision;
          pause = slowPoll.first;
        }
      }
      if (signal.aborted) return;
      if (revision === undefined) throw new Error("a watch ended before everything that is there was told");
      fruitless = interest.hinted > Number(revision) ? fruitless + 1 : 0;
      if (fruitless > early.looks) {
        options.log.debug("a hint led nowhere", { kind: kind.kind, hinted: interest.hinted, revision });
        interest.forget();
      }
      if (interest.hinted > Number(revision)) {
        await sleep(options.clock, early.firstPause * 2 ** (fruitless - 1), signal);
      } else pause = await untilMoved(interest, Number(revision), pause, signal, options);
    }
  } finally {
    interest.close();
  }
}

/** Waits until there is a reason to look; tells how long to wait next time if this look finds nothing. */
export async function untilMoved(
  interest: Interest,
  revision: number,
  pause: number,
  signal: AbortSignal,
  { hints, clock, random }: Omit<HintedOptions, "log">,
): Promise<number> {
  const started = clock.now();
  const blind = !hints.connected;
  const milliseconds = (blind ? blindPoll : pause) * (0.75 + random.fraction() / 2);
  await interest.moved(revision, milliseconds, signal);
  const waited = !blind && clock.now() - started >= milliseconds;
  return waited ? Math.min(pause * 2, slowPoll.longest) : pause;
}

/** What hints are wanted for: what the request selects, or more. */
function watchOf<T extends KubernetesObject>(kind: Kind<T>, { namespace, fields = [] }: WatchRequest): Watch {
  // Names and namespaces are no fields of the log's.
  const known = fields.filter(({ field, equal }) => equal && kind.fields?.[field] !== undefined);
  const equal = known.map(({ field, value }) => [field, value] as const);
  return {
    type: storageOf(kind),
    ...(namespace === undefined ? {} : { namespace }),
    ...(equal.length > 0 ? { fields: Object.fromEntries(equal) } : {}),
  };
}
