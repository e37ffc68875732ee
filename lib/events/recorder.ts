import { apiVersionOf, type Event, events, type Kind, type KubernetesObject } from "#api";
import { type Clock, formatTime, isReason, type Log, messageOf } from "#base";
import type { Client } from "#client";

export interface RecorderOptions {
  client: Client;
  clock: Clock;
  log: Log;
  /** The reporting component, such as `deployment-controller`. */
  component: string;
  /** The reporting node, for agents. */
  host?: string;
}

/** The object that an event is about. */
export interface EventSubject {
  kind: Kind;
  object: KubernetesObject;
  fieldPath?: string;
}

export interface Recorder {
  (
    about: EventSubject,
    type: "Normal" | "Warning",
    reason: string,
    message: string,
    /** The reporting component, if it is not the recorder's own. */
    component?: string,
  ): void;
  /** Resolves when all events recorded before are written, for hosts that are about to be frozen. Never rejects. */
  settled(): Promise<void>;
}

/** An event that is to be written. */
interface Occurrence {
  about: EventSubject;
  type: "Normal" | "Warning";
  reason: string;
  message: string;
  component: string;
}

/** An Event object that was written; the same occurrence increases its count. */
interface RecordedEvent {
  namespace: string;
  name: string;
  count: number;
}

/** How many different events are remembered for counting. */
const remembered = 4096;
/** Beyond this many events in a row about one object, further ones are dropped until `refill` allows them. */
const burst = 25;
/** Milliseconds per further event about an object once the burst is used up (client-go's spam filter). */
const refill = 300_000;
/** Characters; the API rejects longer messages. */
const longestMessage = 1024;

/** A recorder that writes events one at a time, so that counts are right. */
export function createRecorder(options: RecorderOptions): Recorder {
  const writer = new EventWriter(options);
  const filter = new SpamFilter(options.clock);
  let last: Promise<void> = Promise.resolve();
  const record = (...[about, type, reason, message, component = options.component]: Parameters<Recorder>): void => {
    if (!filter.accepts(about.object.metadata.uid ?? "")) return;
    const occurrence = { about, type, reason, message: message.slice(0, longestMessage), component };
    last = last.then(() => writer.write(occurrence));
  };
  return Object.assign(record, { settled: () => last });
}

/** Limits the events about each object. */
class SpamFilter {
  readonly #clock: Clock;
  readonly #tokens = new Map<string, { left: number; at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether one more event about the object with this uid may be written. */
  accepts(uid: string): boolean {
    const now = this.#clock.now();
    const bucket = this.#tokens.get(uid) ?? { left: burst, at: now };
    bucket.left = Math.min(burst, bucket.left + (now - bucket.at) / refill);
    bucket.at = now;
    forgetOldest(this.#tokens);
    this.#tokens.delete(uid);
    this.#tokens.set(uid, bucket);
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  }
}

/** Creates Event objects and increases the counts of those that it has created. */
class EventWriter {
  readonly #options: RecorderOptions;
  readonly #recorded = new Map<string, RecordedEvent>();

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async write(occurrence: Occurrence): Promise<void> {
    const key = keyOf(occurrence);
    try {
      if (!(await this.#count(key))) await this.#create(key, occurrence);
    } catch (error) {
      // Writes are refused in a namespace that is being deleted and to a client without permission.
      if (isReason(error, "Forbidden") || isReason(error, "NotFound")) return;
      const { reason } = occurrence;
      this.#options.log.warn("an event could not be written", { reason, error: messageOf(error) });
    }
  }

  /** Increases the count of an event. Returns false where it has not been written yet, or has been deleted. */
  async #count(key: string): Promise<boolean> {
    const { client, clock } = this.#options;
    const known = this.#recorded.get(key);
    if (!known) return false;
    const count = known.count + 1;
    try {
      await client.patch(events, known, { count, lastTimestamp: formatTime(clock.now()) }, { type: "merge" });
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
      this.#recorded.delete(key);
      return false;
    }
    known.count = count;
    return true;
  }

  async #create(key: string, occurrence: Occurrence): Promise<void> {
    const { client, clock, host } = this.#options;
    const { about, type, reason, message, component } = occurrence;
    const { metadata } = about.object;
    const now = clock.now();
    // As upstream, events about objects without a namespace are written to `default`.
    const namespace = metadata.namespace ?? "default";
    const name = `${metadata.name}.${(now * 1_000_000).toString(16)}${this.#recorded.size.toString(16)}`;
    const created: Event = {
      metadata: { name, namespace },
      involvedObject: referenceTo(about),
      reason,
      message,
      source: { component, ...(host === undefined ? {} : { host }) },
      firstTimestamp: formatTime(now),
      lastTimestamp: formatTime(now),
      count: 1,
      type,
      reportingComponent: component,
      reportingInstance: host ?? "",
    };
    await client.create(events, created);
    forgetOldest(this.#recorded);
    this.#recorded.set(key, { namespace, name, count: 1 });
  }
}

const keyOf = ({ about, type, reason, message, component }: Occurrence): string =>
  [component, about.object.metadata.uid, about.fieldPath, type, reason, message].join("\n");

function referenceTo({ kind, object: { metadata }, fieldPath }: EventSubject): Event["involvedObject"] {
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
    ...(fieldPath === undefined ? {} : { fieldPath }),
  };
}

function forgetOldest(map: Map<string, unknown>): void {
  if (map.size < remembered) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
