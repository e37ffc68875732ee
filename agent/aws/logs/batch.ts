import type { InputLogEvent } from "@aws-sdk/client-cloudwatch-logs";
import type { Line } from "./lines.ts";
import { after, type Position } from "./positions.ts";

/** Events that are sent together, and the position after them. */
export interface Batch {
  events: InputLogEvent[];
  bytes: number;
  position: Position | undefined;
}

/** The service's limits of one call; each event counts 26 bytes more than its message. */
export const bounds = { bytes: 1_048_576, events: 10_000, perEvent: 26, milliseconds: 23 * 60 * 60_000 };

/**
 * Collects lines in order. Times never decrease within a stream, so that events stay in the order of their lines.
 */
export class Gatherer {
  #batch: Batch;
  #latest = 0;

  constructor(position: Position | undefined) {
    this.#batch = { events: [], bytes: 0, position };
  }

  get isEmpty(): boolean {
    return this.#batch.events.length === 0;
  }

  /** Adds a line and returns its size; undefined when the batch must be taken first. */
  add(line: Line): number | undefined {
    const { events } = this.#batch;
    // An event has at least one character.
    const message = line.text === "" ? " " : line.text;
    const size = Buffer.byteLength(message) + bounds.perEvent;
    const timestamp = Math.max(line.at, this.#latest);
    const first = events[0]?.timestamp ?? timestamp;
    const isFull =
      this.#batch.bytes + size > bounds.bytes ||
      events.length === bounds.events ||
      timestamp - first > bounds.milliseconds;
    if (isFull && events.length > 0) return undefined;
    this.#latest = timestamp;
    events.push({ timestamp, message });
    this.#batch.bytes += size;
    if (line.ends) this.#batch.position = after(this.#batch.position, line);
    return size;
  }

  /** The collected events; the next batch is empty. */
  take(): Batch {
    const taken = this.#batch;
    this.#batch = { events: [], bytes: 0, position: taken.position };
    return taken;
  }
}
