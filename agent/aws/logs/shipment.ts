import { type Clock, type Log, messageOf, sleep } from "#base";
import { type Batch, Gatherer } from "./batch.ts";
import { lineReader } from "./lines.ts";
import { type Position, resumeAfter } from "./positions.ts";
import type { Room } from "./room.ts";

export interface ShipmentOptions {
  stream: string;
  /** From where to go on. */
  position: Position | undefined;
  /** The container's output with timestamps, from a little before the position, until it ends or `signal` aborts. */
  output: AsyncIterable<Uint8Array>;
  /** Sends events; rejects when trying again may help. */
  put(stream: string, events: Batch["events"]): Promise<void>;
  /** Remembers how much is sent. */
  save(position: Position): Promise<void>;
  room: Room;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}

/** Lines are gathered for so long. */
const linger = 1000;
const firstBackoff = 500;
const longestBackoff = 30_000;

/**
 * Sends a container's output, in order, until it ends; resolves with where it stands then. What is not sent yet when
 * the signal aborts is tried once.
 */
export async function ship(options: ShipmentOptions): Promise<Position | undefined> {
  const { clock, room, signal } = options;
  const gatherer = new Gatherer(options.position);
  let ended = false;
  let failure: { error: unknown } | undefined;
  let come = Promise.withResolvers<void>();
  let taken = Promise.withResolvers<void>();
  let flush = new AbortController();

  const read = async (): Promise<void> => {
    const reader = lineReader();
    const isNew = resumeAfter(options.position);
    const gather = async (lines: ReturnType<typeof reader.read>): Promise<void> => {
      for (const line of lines) {
        if (!isNew(line)) continue;
        await room.free(signal);
        if (signal.aborted) return;
        for (let size = gatherer.add(line); ; size = gatherer.add(line)) {
          if (size !== undefined) {
            room.take(size);
            break;
          }
          flush.abort();
          await taken.promise;
        }
        come.resolve();
      }
    };
    for await (const chunk of options.output) {
      await gather(reader.read(chunk));
      if (signal.aborted) return;
    }
    await gather(reader.end());
  };
  const reading = read()
    .catch((error: unknown) => {
      failure = { error };
    })
    .finally(() => {
      ended = true;
      flush.abort();
      come.resolve();
    });

  let position = options.position;
  for (;;) {
    await come.promise;
    if (!ended && !signal.aborted) await sleep(clock, linger, AbortSignal.any([flush.signal, signal]));
    const over = ended;
    come = Promise.withResolvers();
    flush = new AbortController();
    const batch = gatherer.take();
    taken.resolve();
    taken = Promise.withResolvers();
    if (batch.events.length > 0) {
      const sent = await send(options, batch);
      room.give(batch.bytes);
      if (!sent) break;
      position = batch.position;
      if (position) await options.save(position);
    }
    if (over) break;
    if (ended || !gatherer.isEmpty) come.resolve();
  }
  taken.resolve();
  await reading;
  room.give(gatherer.take().bytes);
  if (failure) throw failure.error;
  return position;
}

/** Sends until it is sent; false when there is no time left. */
async function send({ stream, put, clock, log, signal }: ShipmentOptions, { events }: Batch): Promise<boolean> {
  for (let backoff = firstBackoff; ; backoff = Math.min(backoff * 2, longestBackoff)) {
    try {
      await put(stream, events);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      log.warn("a container's log could not be sent and is sent later", { stream, error: messageOf(error) });
    }
    await sleep(clock, backoff, signal);
  }
}
