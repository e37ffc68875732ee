import { type Clock, type Log, messageOf, sleep } from "#base";
import { type Batch, Gatherer } from "./batch.ts";
import { lineReader } from "./lines.ts";
import type { MemoryLimit } from "./memory-limit.ts";
import { type Position, resumeAfter } from "./positions.ts";

export interface ShipmentOptions {
  stream: string;
  /** The position after which to continue. */
  position: Position | undefined;
  /** The container's output with timestamps, from slightly before the position, until it ends or `signal` aborts. */
  output: AsyncIterable<Uint8Array>;
  /** Sends events; rejects when a retry may succeed. */
  put(stream: string, events: Batch["events"]): Promise<void>;
  /** Stores the sent position. */
  save(position: Position): Promise<void>;
  memory: MemoryLimit;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}

/** Lines are collected for this long. */
const collectMilliseconds = 1000;
const firstBackoffMilliseconds = 500;
const longestBackoffMilliseconds = 30_000;

/**
 * Sends a container's output in order until it ends; resolves with the last position. When the signal aborts, unsent
 * lines are tried once.
 */
export async function ship(options: ShipmentOptions): Promise<Position | undefined> {
  const { clock, memory, signal } = options;
  const gatherer = new Gatherer(options.position);
  let ended = false;
  let failure: { error: unknown } | undefined;
  let available = Promise.withResolvers<void>();
  let taken = Promise.withResolvers<void>();
  let flush = new AbortController();

  const read = async (): Promise<void> => {
    const reader = lineReader();
    const isNew = resumeAfter(options.position);
    const gather = async (lines: ReturnType<typeof reader.read>): Promise<void> => {
      for (const line of lines) {
        if (!isNew(line)) continue;
        await memory.free(signal);
        if (signal.aborted) return;
        for (let size = gatherer.add(line); ; size = gatherer.add(line)) {
          if (size !== undefined) {
            memory.reserve(size);
            break;
          }
          flush.abort();
          await taken.promise;
        }
        available.resolve();
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
      available.resolve();
    });

  let position = options.position;
  for (;;) {
    await available.promise;
    if (!ended && !signal.aborted) await sleep(clock, collectMilliseconds, AbortSignal.any([flush.signal, signal]));
    const over = ended;
    available = Promise.withResolvers();
    flush = new AbortController();
    const batch = gatherer.take();
    taken.resolve();
    taken = Promise.withResolvers();
    if (batch.events.length > 0) {
      const sent = await send(options, batch);
      memory.release(batch.bytes);
      if (!sent) break;
      position = batch.position;
      if (position) await options.save(position);
    }
    if (over) break;
    if (ended || !gatherer.isEmpty) available.resolve();
  }
  taken.resolve();
  await reading;
  memory.release(gatherer.take().bytes);
  if (failure) throw failure.error;
  return position;
}

/** Retries until the batch is sent; false when the signal has aborted. */
async function send({ stream, put, clock, log, signal }: ShipmentOptions, { events }: Batch): Promise<boolean> {
  for (let backoff = firstBackoffMilliseconds; ; backoff = Math.min(backoff * 2, longestBackoffMilliseconds)) {
    try {
      await put(stream, events);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      log.warn("a container's log could not be sent; it is retried", { stream, error: messageOf(error) });
    }
    await sleep(clock, backoff, signal);
  }
}
