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

export interface Recorder {
  (
    about: { kind: Kind; object: KubernetesObject; fieldPath?: string },
    type: "Normal" | "Warning",
    reason: string,
    message: string,
    /** The reporting component, if it is not the recorder's own. */
    component?: string,
  ): void;
  /** Resolves when all events recorded before are written, for hosts that are about to be frozen. Never rejects. */
  settled(): Promise<void>;
}

interface Told {
  namespace: string;
  name: string;
  count: number;
  at: number;
}

/** How many different events are remembered for counting. */
const remembered = 4096;
/** Beyond this many events in a row about one object, further ones are dropped until `refill` allows them. */
const burst = 25;
/** Milliseconds per further event about an object once the burst is used up (client-go's spam filter). */
const refill = 300_000;
const longestMessage = 1024;

/** A recorder that writes events one at a time, so that counts are right. */
export function createRecorder(options: RecorderOptions): Recorder {
  const { clock, log } = options;
  const told = new Map<string, Told>();
  const tokens = new Map<string, { left: number; at: number }>();
  let last: Promise<void> = Promise.resolve();

  const mayTell = (uid: string): boolean => {
    const now = clock.now();
    const bucket = tokens.get(uid) ?? { left: burst, at: now };
    bucket.left = Math.min(burst, bucket.left + (now - bucket.at) / refill);
    bucket.at = now;
    forgetOldest(tokens);
    tokens.delete(uid);
    tokens.set(uid, bucket);
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  };

  const record = (...[about, type, reason, message, component]: Parameters<Recorder>): void => {
    if (!mayTell(about.object.metadata.uid ?? "")) return;
    const write = () =>
      tell(
        { ...options, ...(component ? { component } : {}) },
        told,
        about,
        type,
        reason,
        message.slice(0, longestMessage),
      ).catch((error: unknown) => {
        // Writes are refused in a namespace that is being deleted and to a client without permission.
        if (!isReason(error, "Forbidden") && !isReason(error, "NotFound")) {
          log.warn("an event could not be written", { reason, error: messageOf(error) });
        }
      });
    last = last.then(write);
  };
  return Object.assign(record, { settled: () => last });
}

function forgetOldest(map: Map<string, unknown>): void {
  if (map.size < remembered) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}

async function tell(
  { client, clock, component, host }: RecorderOptions,
  told: Map<string, Told>,
  { kind, object, fieldPath }: Parameters<Recorder>[0],
  type: "Normal" | "Warning",
  reason: string,
  message: string,
): Promise<void> {
  const { metadata } = object;
  const key = [component, metadata.uid, fieldPath, type, reason, message].join("\n");
  const now = clock.now();
  const known = told.get(key);
  if (known) {
    const count = known.count + 1;
    const again = { count, lastTimestamp: formatTime(now) };
    try {
      await client.patch(events, known, again, { type: "merge" });
      Object.assign(known, { count, at: now });
      return;
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
      told.delete(key);
    }
  }
  // As upstream, events about objects without a namespace are written to `default`.
  const namespace = metadata.namespace ?? "default";
  const name = `${metadata.name}.${(now * 1_000_000).toString(16)}${told.size.toString(16)}`;
  const made: Event = {
    metadata: { name, namespace },
    involvedObject: {
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
      name: metadata.name,
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      ...(fieldPath === undefined ? {} : { fieldPath }),
    },
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
  await client.create(events, made);
  forgetOldest(told);
  told.set(key, { namespace, name, count: 1, at: now });
}
